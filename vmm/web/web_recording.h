/* SPDX-License-Identifier: MIT */
/*
 * web_recording.h - The messages of a page, kept and read from files (pure)
 *
 * A recording is text, one JSON object a line: what the server has sent so far,
 * from its beginning on. A file is not trusted: web_recording_read() checks each
 * line before a page receives it.
 */
#ifndef FERRY_WEB_RECORDING_H
#define FERRY_WEB_RECORDING_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/base/error.h"

#define RECORDING_MAX	(8u << 20)	/* bytes kept of what is followed */
#define RECORDING_LINE	(256u << 10)	/* of one message */

struct web_recording_text;

/**
 * struct web_recording - The lines; all zero is an empty one
 * @shared:	holds @text, also for web_recording_hold(); NULL: there is none
 * @text:	each line ends with '\n'. Bytes before @len do not change
 * @len:	bytes
 * @cap:	allocated
 */
struct web_recording {
	struct web_recording_text *shared;
	char *text;
	size_t len, cap;
};

/**
 * web_recording_add() - Append a message
 * @r:		the recording
 * @line:	JSON without a newline
 *
 * Return: 0, -ENOSPC (RECORDING_MAX would be exceeded), -EMSGSIZE (longer than
 *	   RECORDING_LINE), -ENOMEM; then nothing is added
 */
int web_recording_add(struct web_recording *r, const char *line);

/** web_recording_clear() - Drop all lines, and release the memory */
void web_recording_clear(struct web_recording *r);

/**
 * web_recording_hold() - Keep the text for an answer that is being sent
 * @r:		the recording, not empty
 *
 * The lines that there are now stay at @r->text as it is now, whatever happens
 * to @r. Nothing is copied: answers share the memory.
 *
 * Return: what web_recording_release() needs
 */
struct web_recording_text *web_recording_hold(struct web_recording *r);

/** web_recording_release() - The text is not needed any more; NULL is fine */
void web_recording_release(struct web_recording_text *t);

/**
 * web_recording_next() - Walk through the lines
 * @text:	where the next line begins; moved past it
 * @end:	of the text
 * @line:	set to the line
 * @len:	set to its length, without '\n'
 *
 * Return: false if there is no further line
 */
bool web_recording_next(const char **text, const char *end,
			const char **line, size_t *len);

/**
 * web_recording_read() - Check a text, and make it a recording
 * @r:		an empty recording
 * @text:	contents of a file, not trusted
 * @len:	of @text
 * @err:	the first line that is wrong, and why
 *
 * Each line must be a JSON object with a number "t", not smaller than that of
 * the line before, and a string "kind".
 *
 * Return: 0, -EINVAL, -ENOMEM, -EFBIG (longer than RECORDING_MAX)
 */
int web_recording_read(struct web_recording *r, const char *text, size_t len,
		       struct error *err);

#endif /* FERRY_WEB_RECORDING_H */
