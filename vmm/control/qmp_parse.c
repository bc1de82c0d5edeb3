// SPDX-License-Identifier: MIT
/*
 * qmp_parse.c - JSON as QEMU's clients write it
 *
 * QEMU accepts more than JSON, and jansson less than JSON: strings in single
 * quotes, \' in a string, and integers beyond 64 bits with a sign. A message
 * that jansson refuses is rewritten and parsed once more.
 *
 * A large integer becomes a real number. As the command's "id", which the answer
 * must repeat digit by digit, it becomes a string with a mark in front, which
 * qmp_text() removes together with the quotes.
 */

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "qmp.h"

/* Enough for any message: a byte becomes two at most, a long number 8 more */
#define ROOM(len)	(2 * (len) + 16)
#define MARK_ESCAPED	"\\u0001"
#define LONG_NUMBER	19	/* digits that may exceed 2^63 */

/**
 * struct rewrite - A message on its way into JSON
 * @in:		next byte to read
 * @end:	end of the message
 * @out:	the result
 * @n:		bytes in @out
 * @depth:	braces and brackets open
 */
struct rewrite {
	const char *in, *end;
	char *out;
	size_t n;
	unsigned depth;
};

static void rewrite_put(struct rewrite *r, const char *text, size_t n)
{
	memcpy(r->out + r->n, text, n);
	r->n += n;
}

/* Copy a string in quotes of either kind */
static void rewrite_string(struct rewrite *r)
{
	const char quote = *r->in++;

	rewrite_put(r, "\"", 1);
	while (r->in < r->end && *r->in != quote) {
		if (*r->in == '\\' && r->in + 1 < r->end) {
			r->in++;
			if (*r->in != '\'')
				rewrite_put(r, "\\", 1);
		} else if (*r->in == '"') {
			rewrite_put(r, "\\", 1);
		}
		rewrite_put(r, r->in++, 1);
	}
	if (r->in == r->end)
		return;
	rewrite_put(r, "\"", 1);
	r->in++;
}

/* Is the value that follows that of the command's "id"? */
static bool rewrite_is_id(const struct rewrite *r)
{
	static const char key[] = "\"id\"";
	size_t n = r->n;

	while (n && isspace((unsigned char)r->out[n - 1]))
		n--;
	if (r->depth != 1 || !n || r->out[--n] != ':')
		return false;
	while (n && isspace((unsigned char)r->out[n - 1]))
		n--;
	return n >= strlen(key) &&
	       !memcmp(r->out + n - strlen(key), key, strlen(key));
}

bool qmp_is_long_integer(const char *text)
{
	const char *digits = text + (*text == '-');

	if (!*digits || *digits == '0' ||
	    digits[strspn(digits, "0123456789")])
		return false;
	errno = 0;
	strtoll(text, NULL, 10);
	return errno == ERANGE;
}

static void rewrite_number(struct rewrite *r)
{
	const char *from = r->in;
	char digits[32] = "";
	bool id = rewrite_is_id(r);
	size_t n;

	while (r->in < r->end && strchr("+-.0123456789eE", *r->in) && *r->in)
		r->in++;
	n = (size_t)(r->in - from);
	if (n >= LONG_NUMBER && n < sizeof(digits))
		memcpy(digits, from, n);
	if (!qmp_is_long_integer(digits)) {
		rewrite_put(r, from, n);
	} else if (id) {
		rewrite_put(r, "\"" MARK_ESCAPED, 1 + strlen(MARK_ESCAPED));
		rewrite_put(r, from, n);
		rewrite_put(r, "\"", 1);
	} else {
		rewrite_put(r, from, n);
		rewrite_put(r, ".0", 2);
	}
}

static void rewrite_message(struct rewrite *r)
{
	while (r->in < r->end) {
		if (*r->in == '"' || *r->in == '\'') {
			rewrite_string(r);
		} else if (*r->in == '-' || isdigit((unsigned char)*r->in)) {
			rewrite_number(r);
		} else {
			r->depth += *r->in == '{' || *r->in == '[';
			r->depth -= *r->in == '}' || *r->in == ']';
			rewrite_put(r, r->in++, 1);
		}
	}
}

json_t *qmp_parse(const char *text, size_t len, json_error_t *why)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
	json_t *msg = json_loadb(text, len, flags, why);
	struct rewrite r = { .in = text, .end = text + len };

	if (msg)
		return msg;
	r.out = malloc(ROOM(len));
	if (!r.out)
		return NULL;
	rewrite_message(&r);
	msg = json_loadb(r.out, r.n, flags, why);
	free(r.out);
	return msg;
}
