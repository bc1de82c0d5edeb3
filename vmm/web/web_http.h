/* SPDX-License-Identifier: MIT */
/*
 * web_http.h - The HTTP server: limits, headers, routes
 */
#ifndef FERRY_WEB_HTTP_H
#define FERRY_WEB_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "vmm/base/error.h"

struct evhttp_request;
struct web;

/**
 * web_http_open() - Listen, and answer requests
 * @w:		the process
 * @err:	why not
 *
 * Return: 0, -errno
 */
int web_http_open(struct web *w, struct error *err);

/** web_http_close() - Close all connections */
void web_http_close(struct web *w);

/**
 * web_http_text() - Send an answer
 * @req:	the request
 * @status:	HTTP status
 * @text:	the body, copied
 * @len:	its length
 */
void web_http_text(struct evhttp_request *req, int status, const char *text,
		   size_t len);

/**
 * web_http_released - The answer's text is not needed any more
 * @text, @len, @ctx: as web_http_shared() received them
 */
typedef void web_http_released(const void *text, size_t len, void *ctx);

/**
 * web_http_shared() - Send an answer without a copy of it
 * @req:	the request
 * @text:	the body, which does not change before @released is called
 * @len:	its length
 * @released:	called once: the answer was sent, or is not sent
 * @ctx:	for @released
 */
void web_http_shared(struct evhttp_request *req, const char *text, size_t len,
		     web_http_released *released, void *ctx);

/**
 * web_http_json() - Send an answer
 * @req:	the request
 * @value:	the body; taken over. NULL if memory ran out
 */
void web_http_json(struct evhttp_request *req, json_t *value);

/** web_http_error() - Send {"error": text} */
void web_http_error(struct evhttp_request *req, int status,
		    const char *text);

/**
 * web_http_body() - The request's body as an object
 * @req:	the request
 * @err:	why it is none
 *
 * Return: new reference, or NULL
 */
json_t *web_http_body(struct evhttp_request *req, struct error *err);

#endif /* FERRY_WEB_HTTP_H */
