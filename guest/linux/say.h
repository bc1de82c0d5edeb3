/* SPDX-License-Identifier: MIT */
/*
 * say.h - Lines on the console, each whole
 */
#ifndef GUEST_LINUX_SAY_H
#define GUEST_LINUX_SAY_H

/**
 * say() - Print one line; from any thread
 * @format:	as for printf(), without the newline; cut at 1022 bytes
 *
 * Lines of several threads never mix. Between say_half() and say_rest() they
 * are held back.
 */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/**
 * say_half() - Print a text without a newline, and hold other lines back
 * @text:	text
 */
void say_half(const char *text);

/**
 * say_rest() - Print a text and a newline, then the lines held back
 * @text:	text
 */
void say_rest(const char *text);

#endif
