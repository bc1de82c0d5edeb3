/* SPDX-License-Identifier: MIT */
/*
 * error.h - An error as a person will read it
 *
 * Functions that can fail for reasons a user should read take a
 * struct error * last. The one that knows the cause sets the text, once;
 * callers pass it up untouched, and whoever faces the user (main, a control
 * command, the peer) prints it. The first cause wins: setting an error that
 * is set already changes nothing.
 */
#ifndef FERRY_ERROR_H
#define FERRY_ERROR_H

#include <stdbool.h>

#define ERROR_TEXT_MAX 400

/**
 * struct error - What went wrong, and what to do about it
 * @code:	positive errno value, 0 if nothing is wrong
 * @text:	one line, without a "ferry: " in front or a newline behind
 */
struct error {
	int code;
	char text[ERROR_TEXT_MAX];
};

/**
 * error_set() - Record a cause, unless one is recorded already
 * @err:	where to; NULL to drop the text
 * @code:	positive errno value
 * @fmt:	printf format of the text
 *
 * Return: -@code, so that callers can "return error_set(...)"
 */
int error_set(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * error_prefix() - Put context in front of a recorded cause
 * @err:	a set error, or NULL
 * @fmt:	printf format of the context, without the ": "
 *
 * Return: -(recorded code), or 0 if nothing was recorded
 */
int error_prefix(struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * error_clear() - Forget a cause that was dealt with
 * @err:	the error, or NULL
 */
void error_clear(struct error *err);

#endif /* FERRY_ERROR_H */
