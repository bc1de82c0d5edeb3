/* SPDX-License-Identifier: MIT */
/*
 * qmp.h - QMP messages, for both ends
 *
 * Pure: finds the end of a message in a stream of bytes, and builds the four
 * kinds of message that a server sends. No I/O.
 */
#ifndef FERRY_QMP_H
#define FERRY_QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/time.h>

#include <jansson.h>

/* In front of an integer that is carried as a string: see qmp_parse() */
#define QMP_INTEGER_MARK '\001'

/* Error classes, as in QEMU */
#define QMP_GENERIC_ERROR "GenericError"
#define QMP_COMMAND_NOT_FOUND "CommandNotFound"

/**
 * struct qmp_frame - A parser's position in a message
 * @pos:	bytes of the buffer that were parsed
 * @depth:	braces and brackets open at @pos
 * @quote:	@pos is inside a string that ends with this; else 0
 * @escape:	the byte before @pos was a backslash inside a string
 *
 * All zero is the start of a message.
 */
struct qmp_frame {
	size_t pos;
	unsigned depth;
	char quote;
	bool escape;
};

/**
 * qmp_frame_next() - Find the end of the first message in a buffer
 * @f:		state between calls; zeroed again when a message was found
 * @buf:	bytes received and not consumed; same start as at the last call
 * @len:	bytes in @buf, never fewer than at the last call
 *
 * A message ends with its closing brace, as in QEMU. It may have several lines;
 * outside braces, or inside a string, a newline ends it. So does, anywhere, a
 * byte that no message contains: a control character or 0xff, which a client
 * sends to be sure that its next byte starts a message. The message may be
 * blank, or not JSON.
 *
 * Return: length of the message, or 0 if its end is not in @buf
 */
size_t qmp_frame_next(struct qmp_frame *f, const char *buf, size_t len);

/**
 * qmp_blank() - Test whether a message is white space only
 * @buf:	message found by qmp_frame_next()
 * @len:	its length
 *
 * Return: true if so
 */
bool qmp_blank(const char *buf, size_t len);

/**
 * qmp_is_long_integer() - Is a text an integer that jansson cannot hold?
 * @text:	the text
 *
 * Return: true if JSON allows it as an integer, and it is beyond 64 bits
 */
bool qmp_is_long_integer(const char *text);

/**
 * qmp_parse() - Parse a message, with what QEMU accepts beyond JSON
 * @text:	message found by qmp_frame_next()
 * @len:	its length
 * @why:	what is wrong with it
 *
 * Strings may have single quotes. An integer that does not fit 64 bits with a
 * sign becomes a real number; as "id" it comes back unchanged from qmp_text().
 *
 * Return: new value, or NULL
 */
json_t *qmp_parse(const char *text, size_t len, json_error_t *why);

/**
 * qmp_greeting() - The server's first message
 *
 * Return: new object, or NULL if memory ran out
 */
json_t *qmp_greeting(void);

/**
 * qmp_version() - The result of query-version
 *
 * Return: new object, or NULL if memory ran out
 */
json_t *qmp_version(void);

/**
 * qmp_string() - A text that may not be UTF-8, or cut inside a character
 * @text:	e.g. an error, or a path
 *
 * Return: new string, in which '?' replaces all bytes that are not ASCII if
 *	   @text is not UTF-8; or NULL if memory ran out
 */
json_t *qmp_string(const char *text);

/**
 * qmp_return() - The answer to a command that succeeded
 * @ret:	its result, whose reference is taken over; NULL means {}
 * @id:		the command's id, or NULL; not taken over
 *
 * Return: new object, or NULL if memory ran out
 */
json_t *qmp_return(json_t *ret, json_t *id);

/**
 * qmp_error() - The answer to a command that failed
 * @class:	QMP_GENERIC_ERROR or QMP_COMMAND_NOT_FOUND
 * @desc:	text for the user; bytes that are not UTF-8 become '?'
 * @id:		the command's id, or NULL; not taken over
 *
 * Return: new object, or NULL if memory ran out
 */
json_t *qmp_error(const char *class, const char *desc, json_t *id);

/**
 * qmp_event() - An event
 * @name:	e.g. "STOP"
 * @data:	its data, whose reference is taken over, or NULL for none
 * @when:	wall clock time
 *
 * Return: new object, or NULL if memory ran out
 */
json_t *qmp_event(const char *name, json_t *data, const struct timeval *when);

/**
 * qmp_text() - Format a message for the socket
 * @message:	any of the above, or a command; may be NULL
 *
 * Return: one line ending in CR LF, to be freed with free(), or NULL
 */
char *qmp_text(const json_t *message);

#endif /* FERRY_QMP_H */
