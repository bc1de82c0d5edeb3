/* SPDX-License-Identifier: MIT */
/*
 * section.h - Sections of a machine's saved state (pure)
 *
 * A section is a header of 24 bytes and its contents. The header holds a name
 * (16 bytes, filled with zeroes), the instance number (2), the version of the
 * contents (2) and their length (4), little endian. A reader knows which
 * section must come next, and refuses any other one by its name.
 */
#ifndef FERRY_SECTION_H
#define FERRY_SECTION_H

#include "vmm/base/bytes.h"
#include "vmm/base/error.h"

#define SECTION_NAME_MAX	16
#define SECTION_HEADER		24	/* bytes */

/**
 * struct section - What identifies a section
 * @name:	at most SECTION_NAME_MAX characters
 * @instance:	which of several with that name, from 0
 * @version:	of the format of the contents
 */
struct section {
	const char *name;
	unsigned instance, version;
};

/**
 * section_open() - Append a header; the contents follow
 * @w:		where to
 * @s:		the section
 *
 * Return: a mark for section_close()
 */
size_t section_open(struct writer *w, const struct section *s);

/**
 * section_close() - Fill in the length of the contents
 * @w:		the writer
 * @mark:	from section_open()
 */
void section_close(struct writer *w, size_t mark);

/**
 * section_get() - Read the header of a section that must come next
 * @r:		where from; left after the section
 * @s:		the section that must come
 * @part:	set to a reader of the contents
 * @err:	why not, naming both sections
 *
 * Return: 0, -EBADMSG (another section, another version, or cut short)
 */
int section_get(struct reader *r, const struct section *s,
		struct reader *part, struct error *err);

/**
 * section_done() - Check that exactly the contents were read
 * @s:		the section
 * @part:	from section_get()
 * @err:	why not, naming the section
 *
 * Return: 0, -EBADMSG (longer or shorter than its reader expected)
 */
int section_done(const struct section *s, const struct reader *part,
		 struct error *err);

#endif /* FERRY_SECTION_H */
