/* SPDX-License-Identifier: MIT */
/*
 * web_console.h - The serial port of a machine, by its console socket
 *
 * A guest can print any bytes. They become text (ASCII, see web_text.h), which
 * the page shows as text and never as markup.
 */
#ifndef FERRY_WEB_CONSOLE_H
#define FERRY_WEB_CONSOLE_H

#include <stddef.h>

struct event_base;
struct web_console;

/**
 * web_console_fn - The guest has printed
 * @ctx:	the caller's
 * @text:	as UTF-8
 */
typedef void web_console_fn(void *ctx, const char *text);

/**
 * web_console_open() - Connect
 * @base:	main loop's
 * @path:	of the console socket
 * @fn:		called for output
 * @ctx:	for @fn
 *
 * Return: the console, or NULL
 */
struct web_console *web_console_open(struct event_base *base,
				     const char *path, web_console_fn *fn,
				     void *ctx);

/**
 * web_console_type() - Send input to the guest
 * @c:		the console, or NULL
 * @text:	the input
 * @len:	its length
 *
 * Return: 0, -ENOTCONN, -ENOBUFS: the guest does not read
 */
int web_console_type(struct web_console *c, const char *text, size_t len);

/** web_console_close() - Disconnect; @c may be NULL */
void web_console_close(struct web_console *c);

#endif /* FERRY_WEB_CONSOLE_H */
