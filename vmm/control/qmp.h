/* SPDX-License-Identifier: MIT */
/*
 * qmp.h - QMP messages, as both ends see them
 *
 * Pure: where a message ends in a stream of bytes, and what the four kinds
 * that a server sends look like. No I/O.
 */
#ifndef FERRY_QMP_H
#define FERRY_QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/time.h>

#include <jansson.h>

/* Error classes; QEMU's clients know these two */
#define QMP_GENERIC_ERROR "GenericError"
#define QMP_COMMAND_NOT_FOUND "CommandNotFound"

/**
 * struct qmp_frame - How far a message has been looked through
 * @pos:	bytes of the buffer that were seen
 * @depth:	braces and brackets open at @pos
 * @string:	@pos is inside a string
 * @escape:	the byte before @pos was a backslash inside a string
 *
 * All zero is the start of a message.
 */
struct qmp_frame {
	size_t pos;
	unsigned depth;
	bool string;
	bool escape;
};

/**
 * qmp_frame_next() - Find the end of the first message in a buffer
 * @f:		state between calls; zeroed again when a message was found
 * @buf:	what was received and not consumed; starts where it started at
 *		the last call
 * @len:	bytes in @buf, never fewer than at the last call
 *
 * A message ends with the brace that closes it, as QEMU has it, or with a
 * newline, so that a broken line does not swallow the next one. What is found
 * may be blank, or no JSON at all.
 *
 * Return: length of the message, or 0 if its end is not in @buf
 */
size_t qmp_frame_next(struct qmp_frame *f, const char *buf, size_t len);

/**
 * qmp_blank() - Tell an empty line
 * @buf:	message found by qmp_frame_next()
 * @len:	its length
 *
 * Return: true if there is nothing but white space in it
 */
bool qmp_blank(const char *buf, size_t len);

/**
 * qmp_greeting() - What the server says first
 *
 * Return: new object, or NULL if there is no memory
 */
json_t *qmp_greeting(void);

/**
 * qmp_version() - What query-version returns
 *
 * Return: new object, or NULL if there is no memory
 */
json_t *qmp_version(void);

/**
 * qmp_return() - The answer to a command that worked
 * @ret:	what it returns, whose reference is taken over; NULL means {}
 * @id:		the command's id, or NULL; not taken over
 *
 * Return: new object, or NULL if there is no memory
 */
json_t *qmp_return(json_t *ret, json_t *id);

/**
 * qmp_error() - The answer to a command that did not
 * @class:	QMP_GENERIC_ERROR or QMP_COMMAND_NOT_FOUND
 * @desc:	text for a person; bytes that are not UTF-8 become '?'
 * @id:		the command's id, or NULL; not taken over
 *
 * Return: new object, or NULL if there is no memory
 */
json_t *qmp_error(const char *class, const char *desc, json_t *id);

/**
 * qmp_event() - An event
 * @name:	e.g. "STOP"
 * @data:	its data, whose reference is taken over, or NULL for none
 * @when:	wall clock time
 *
 * Return: new object, or NULL if there is no memory
 */
json_t *qmp_event(const char *name, json_t *data, const struct timeval *when);

/**
 * qmp_text() - A message as it goes on the socket
 * @message:	any of the above, or a command; may be NULL
 *
 * Return: one line ending in CR LF, to be freed with free(), or NULL
 */
char *qmp_text(const json_t *message);

#endif /* FERRY_QMP_H */
