/* SPDX-License-Identifier: MIT */
/*
 * uri.h - Address of a peer: tcp:HOST:PORT, tls:HOST:PORT or unix:PATH
 *
 * Pure.
 */
#ifndef FERRY_URI_H
#define FERRY_URI_H

#include "error.h"

/* Size of the buffer for uri_text() */
#define URI_TEXT	272

/* URI_TLS: TLS over TCP */
enum uri_kind { URI_TCP, URI_TLS, URI_UNIX };

/**
 * struct uri - A parsed URI
 * @kind:	which of the following are valid
 * @host:	not URI_UNIX: name or address; [v6] without its brackets; ""
 *		for all addresses (to listen)
 * @port:	not URI_UNIX: 1 to 65535 in decimal
 * @path:	URI_UNIX
 */
struct uri {
	enum uri_kind kind;
	char host[256], port[8], path[108];
};

/**
 * uri_parse() - Parse a URI
 * @text:	the URI as the user wrote it
 * @u:		receives the parts
 * @err:	what is wrong with @text
 *
 * Return: 0, -EINVAL
 */
int uri_parse(const char *text, struct uri *u, struct error *err);

/**
 * uri_text() - Format a URI
 * @u:		from uri_parse()
 * @text:	receives it: URI_TEXT bytes
 */
void uri_text(const struct uri *u, char *text);

#endif /* FERRY_URI_H */
