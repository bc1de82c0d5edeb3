/* SPDX-License-Identifier: MIT */
/*
 * web_stream.h - Messages to the pages that are open (server-sent events)
 */
#ifndef FERRY_WEB_STREAM_H
#define FERRY_WEB_STREAM_H

#include <jansson.h>

#include "web_private.h"

#define VIEWERS_MAX	8
#define VIEWER_BEHIND	(4u << 20)	/* bytes that a slow page may leave unread */

/** web_stream_open() - A page has opened: GET /api/stream */
web_handler web_stream_open;

/**
 * web_stream_send() - Send a message to all pages, and record it
 * @w:		the process
 * @kind:	a literal, see docs/web.md
 * @id:		the machine's, or NULL
 * @member:	a literal; member of the message that is @value
 * @value:	taken over
 */
void web_stream_send(struct web *w, const char *kind, const char *id,
		     const char *member, json_t *value);

/** web_stream_close() - Close all of them */
void web_stream_close(struct web *w);

#endif /* FERRY_WEB_STREAM_H */
