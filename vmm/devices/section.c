// SPDX-License-Identifier: MIT
/* section.c - Sections of a machine's saved state */

#include <errno.h>
#include <string.h>

#include "section.h"

static void pad_name(char to[SECTION_NAME_MAX], const char *name)
{
	memset(to, 0, SECTION_NAME_MAX);
	memcpy(to, name, strnlen(name, SECTION_NAME_MAX));
}

size_t section_open(struct writer *w, const struct section *s)
{
	char name[SECTION_NAME_MAX];

	pad_name(name, s->name);
	put_bytes(w, name, sizeof(name));
	put_u16(w, (uint16_t)s->instance);
	put_u16(w, (uint16_t)s->version);
	return put_open(w);
}

void section_close(struct writer *w, size_t mark)
{
	put_close(w, mark);
}

/* The peer chose the name, and the text may go to a terminal */
static void copy_printable(char to[SECTION_NAME_MAX + 1], const uint8_t *name)
{
	memcpy(to, name, SECTION_NAME_MAX);
	to[SECTION_NAME_MAX] = 0;
	for (char *p = to; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

int section_get(struct reader *r, const struct section *s,
		struct reader *part, struct error *err)
{
	const uint8_t *name = get_bytes(r, SECTION_NAME_MAX);
	unsigned instance = get_u16(r), version = get_u16(r);
	char text[SECTION_NAME_MAX + 1], expected[SECTION_NAME_MAX];

	*part = (struct reader){ .failed = true };
	if (r->failed)
		return error_set(err, EBADMSG,
				 "state ends where section '%s' %u belongs",
				 s->name, s->instance);
	copy_printable(text, name);
	pad_name(expected, s->name);
	if (memcmp(name, expected, SECTION_NAME_MAX) ||
	    instance != s->instance)
		return error_set(err, EBADMSG,
			"state has section '%s' %u where '%s' %u belongs",
			text, instance, s->name, s->instance);
	*part = get_part(r);
	if (part->failed)
		return error_set(err, EBADMSG,
			"state ends inside section '%s' %u", s->name,
			s->instance);
	if (version != s->version)
		return error_set(err, EBADMSG,
			"state has version %u of section '%s' %u; this program reads version %u",
			version, s->name, s->instance, s->version);
	return 0;
}

int section_done(const struct section *s, const struct reader *part,
		 struct error *err)
{
	if (reader_done(part))
		return 0;
	return error_set(err, EBADMSG,
			 "section '%s' %u of the state has the wrong length",
			 s->name, s->instance);
}
