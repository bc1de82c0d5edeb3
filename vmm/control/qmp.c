// SPDX-License-Identifier: MIT
/* qmp.c - QMP messages, for both ends */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qmp.h"
#include "vmm/base/version.h"

/* A byte that is neither white space nor part of any JSON text */
static bool is_reset(char c)
{
	return (unsigned char)c == 0xff ||
	       (iscntrl((unsigned char)c) && !isspace((unsigned char)c));
}

static void string_byte(struct qmp_frame *f, char c)
{
	if (f->escape)
		f->escape = false;
	else if (c == '\\')
		f->escape = true;
	else if (c == f->quote)
		f->quote = '\0';
}

/* Return: true if the message ends with this byte */
static bool frame_byte(struct qmp_frame *f, char c)
{
	if (is_reset(c) || (c == '\n' && (f->quote || !f->depth)))
		return true;

	if (f->quote) {
		string_byte(f, c);
		return false;
	}

	switch (c) {
	case '"':
	case '\'':
		f->quote = f->depth ? c : '\0';
		return false;
	case '{':
	case '[':
		f->depth++;
		return false;
	case '}':
	case ']':
		return f->depth && --f->depth == 0;
	default:
		return false;
	}
}

size_t qmp_frame_next(struct qmp_frame *f, const char *buf, size_t len)
{
	size_t end;

	while (f->pos < len) {
		if (!frame_byte(f, buf[f->pos++]))
			continue;
		end = f->pos;
		*f = (struct qmp_frame){ 0 };
		return end;
	}
	return 0;
}

bool qmp_blank(const char *buf, size_t len)
{
	while (len && isspace((unsigned char)buf[len - 1]))
		len--;
	return !len;
}

/* "qemu" is where QEMU's clients look */
json_t *qmp_version(void)
{
	return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu",
			 "major", FERRY_VERSION_MAJOR,
			 "minor", FERRY_VERSION_MINOR,
			 "micro", FERRY_VERSION_MICRO,
			 "package", "ferry " FERRY_VERSION);
}

json_t *qmp_greeting(void)
{
	return json_pack("{s:{s:o, s:[]}}", "QMP",
			 "version", qmp_version(), "capabilities");
}

static json_t *with_id(json_t *reply, json_t *id)
{
	if (reply && id)
		json_object_set(reply, "id", id);
	return reply;
}

json_t *qmp_return(json_t *ret, json_t *id)
{
	return with_id(json_pack("{s:o}", "return",
				 ret ? ret : json_object()), id);
}

json_t *qmp_string(const char *text)
{
	json_t *value = json_string(text);
	char *copy, *p;

	if (value)
		return value;

	copy = strdup(text);
	if (!copy)
		return NULL;
	for (p = copy; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	value = json_string(copy);
	free(copy);
	return value;
}

json_t *qmp_error(const char *class, const char *desc, json_t *id)
{
	return with_id(json_pack("{s:{s:s, s:o}}", "error",
				 "class", class,
				 "desc", qmp_string(desc)), id);
}

json_t *qmp_event(const char *name, json_t *data, const struct timeval *when)
{
	json_t *event = json_pack("{s:{s:I, s:I}, s:s}", "timestamp",
				  "seconds", (json_int_t)when->tv_sec,
				  "microseconds", (json_int_t)when->tv_usec,
				  "event", name);

	if (!event)
		json_decref(data);
	else if (data)
		json_object_set_new(event, "data", data);
	return event;
}

/* Remove the quotes and the mark from an integer that is carried as a string */
static void unquote_id(char *text, const char *id)
{
	char quoted[64], *at, *rest;
	int n;

	/* A client may send such a string itself */
	if (*id != QMP_INTEGER_MARK || !qmp_is_long_integer(id + 1))
		return;
	n = snprintf(quoted, sizeof(quoted), ",\"id\":\"\\u%04x%s\"",
		     QMP_INTEGER_MARK, id + 1);
	at = n < (int)sizeof(quoted) ? strstr(text, quoted) : NULL;
	if (!at)
		return;
	rest = at + n;
	at += sprintf(at, ",\"id\":%s", id + 1);
	memmove(at, rest, strlen(rest) + 1);
}

char *qmp_text(const json_t *message)
{
	/* 12 digits: a day in milliseconds, to the microsecond */
	size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(12);
	size_t len = message ? json_dumpb(message, NULL, 0, flags) : 0;
	const char *id = json_string_value(json_object_get(message, "id"));
	char *text = len ? malloc(len + 3) : NULL;

	if (!text)
		return NULL;
	json_dumpb(message, text, len, flags);
	memcpy(text + len, "\r\n", 3);
	if (id)
		unquote_id(text, id);
	return text;
}
