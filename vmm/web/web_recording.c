// SPDX-License-Identifier: MIT
/* web_recording.c - The messages of a page, kept and read from files */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "web_recording.h"

/* Memory for lines, freed by the last of those who hold it */
struct web_recording_text {
	unsigned holders;
	char bytes[];
};

/* The lines move to new memory if answers that are being sent hold the old */
static int recording_grow(struct web_recording *r, size_t cap)
{
	struct web_recording_text *t;
	const bool alone = r->shared && r->shared->holders == 1;

	t = realloc(alone ? r->shared : NULL, sizeof(*t) + cap);
	if (!t)
		return -ENOMEM;
	if (r->shared && !alone) {
		memcpy(t->bytes, r->text, r->len);
		web_recording_release(r->shared);
	}
	t->holders = 1;
	r->shared = t;
	r->text = t->bytes;
	r->cap = cap;
	return 0;
}

static int recording_append(struct web_recording *r, const char *line,
			    size_t n)
{
	size_t want = r->len + n + 1, cap = r->cap ? r->cap : 4096;

	if (n > RECORDING_LINE)
		return -EMSGSIZE;
	if (want > RECORDING_MAX)
		return -ENOSPC;
	while (cap < want)
		cap *= 2;
	if (cap != r->cap && recording_grow(r, cap))
		return -ENOMEM;
	memcpy(r->text + r->len, line, n);
	r->text[r->len + n] = '\n';
	r->len = want;
	return 0;
}

int web_recording_add(struct web_recording *r, const char *line)
{
	return recording_append(r, line, strlen(line));
}

void web_recording_clear(struct web_recording *r)
{
	web_recording_release(r->shared);
	*r = (struct web_recording){ 0 };
}

struct web_recording_text *web_recording_hold(struct web_recording *r)
{
	r->shared->holders++;
	return r->shared;
}

void web_recording_release(struct web_recording_text *t)
{
	if (t && !--t->holders)
		free(t);
}

bool web_recording_next(const char **text, const char *end,
			const char **line, size_t *len)
{
	const char *stop;

	if (*text >= end)
		return false;
	*line = *text;
	stop = memchr(*text, '\n', (size_t)(end - *text));
	*len = (size_t)((stop ? stop : end) - *text);
	*text = stop ? stop + 1 : end;
	return true;
}

/* @t: of the line before; set to this line's. Return: what is wrong, or NULL */
static const char *check_line(const char *line, size_t n, double *t)
{
	json_error_t why;
	json_t *msg = json_loadb(line, n, 0, &why), *at;
	const char *wrong = NULL;

	at = json_object_get(msg, "t");
	if (!json_is_object(msg))
		wrong = "it is not a JSON object";
	else if (!json_is_number(at))
		wrong = "it has no time 't'";
	else if (json_number_value(at) < *t)
		wrong = "its time 't' is before that of the line above";
	else if (!json_is_string(json_object_get(msg, "kind")))
		wrong = "it has no string 'kind'";
	else
		*t = json_number_value(at);
	json_decref(msg);
	return wrong;
}

int web_recording_read(struct web_recording *r, const char *text, size_t len,
		       struct error *err)
{
	const char *end = text + len, *line, *wrong;
	unsigned number = 0;
	double t = 0;
	size_t n;
	int rc;

	while (web_recording_next(&text, end, &line, &n)) {
		number++;
		wrong = n > RECORDING_LINE ? "it is too long"
					   : check_line(line, n, &t);
		if (wrong)
			return error_set(err, EINVAL, "line %u is not of a "
					 "recording: %s", number, wrong);
		rc = recording_append(r, line, n);
		if (rc)
			return error_set(err, rc == -ENOSPC ? EFBIG : -rc,
				"line %u: %s", number, rc == -ENOSPC ?
				"the recording is longer than 8 MiB" :
				"out of memory");
	}
	return number ? 0 : error_set(err, EINVAL, "the recording is empty");
}
