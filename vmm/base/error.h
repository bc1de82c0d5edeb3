/* SPDX-License-Identifier: MIT */
/*
 * error.h - The cause of a failure, as text for the user
 *
 * A function that can fail for a reason that the user should read takes a
 * struct error * as its last argument. The function that knows the cause sets
 * the text, once; callers pass the error up unchanged, and main, a control
 * command or the peer prints it. The first cause is kept: error_set() on an
 * error that is set already changes nothing.
 */
#ifndef FERRY_ERROR_H
#define FERRY_ERROR_H

#include <stdbool.h>

#define ERROR_TEXT_MAX 400

/**
 * struct error - The cause of a failure
 * @code:	positive errno value, 0 if nothing failed
 * @text:	one line, without "ferry: " and without a newline
 */
struct error {
	int code;
	char text[ERROR_TEXT_MAX];
};

/**
 * error_set() - Record a cause, unless one is recorded already
 * @err:	the error; NULL drops the text
 * @code:	positive errno value
 * @fmt:	printf format of the text
 *
 * Return: -@code, so that callers can "return error_set(...)"
 */
int error_set(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * error_prefix() - Put context before a recorded cause
 * @err:	a set error, or NULL
 * @fmt:	printf format of the context, without the ": "
 *
 * Return: -(recorded code), or 0 if nothing was recorded
 */
int error_prefix(struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * error_clear() - Remove a recorded cause
 * @err:	the error, or NULL
 */
void error_clear(struct error *err);

#endif /* FERRY_ERROR_H */
