/* SPDX-License-Identifier: MIT */
/* uri.h - Where the other side is: tcp:HOST:PORT or unix:PATH (pure) */
#ifndef FERRY_URI_H
#define FERRY_URI_H

#include "error.h"

enum uri_kind { URI_TCP, URI_UNIX };

/**
 * struct uri - One, taken apart
 * @kind:	which
 * @host:	URI_TCP: name or address; [v6] without its brackets; "" for
 *		all addresses (to listen)
 * @port:	URI_TCP: 1 to 65535 in decimal
 * @path:	URI_UNIX
 */
struct uri {
	enum uri_kind kind;
	char host[256], port[8], path[108];
};

/**
 * uri_parse() - Take one apart
 * @text:	what the user wrote
 * @u:		filled in
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL
 */
int uri_parse(const char *text, struct uri *u, struct error *err);

#define URI_TEXT	272

/**
 * uri_text() - Put one together again
 * @u:		from uri_parse()
 * @text:	URI_TEXT bytes
 */
void uri_text(const struct uri *u, char *text);

#endif /* FERRY_URI_H */
