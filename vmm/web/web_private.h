/* SPDX-License-Identifier: MIT */
/*
 * web_private.h - State of `ferry web`, shared by the files of this directory
 *
 * The main thread runs libevent and owns all of it. Each machine has a follower
 * (web_follower.h), a thread that speaks QMP with it and hands what it hears to
 * the main thread by loop_post().
 *
 * What the page shows is a sequence of messages, JSON objects with the members
 * "t" (ms since 1970) and "kind". The same sequence is the recording: a page
 * that is opened late, and a replay, receive it from its beginning. docs/web.md
 * lists the kinds.
 */
#ifndef FERRY_WEB_PRIVATE_H
#define FERRY_WEB_PRIVATE_H

#include <sys/queue.h>

#include <jansson.h>

#include "vmm/base/uri.h"
#include "web.h"
#include "web_deadline.h"
#include "web_guard.h"
#include "web_machines.h"
#include "web_recording.h"

/* A connection is closed if its next request has not come after this time */
#define WEB_REQUEST_S	30

struct evhttp;
struct evhttp_request;
struct loop;
struct web_accepted;
struct web_console;
struct web_demo;
struct web_viewer;

/**
 * struct web - The process
 * @config:	of the command line
 * @at:		the address to listen at
 * @token:	what requests must know
 * @rules:	which requests are answered
 * @loop:	main thread's loop
 * @http:	the server
 * @accepted:	connections that libevent has accepted in this turn of the loop
 * @deadlines:	connections whose next request has not come
 * @machines:	what is followed
 * @recording:	messages so far; with --replay: those of the file
 * @viewers:	pages that receive messages
 * @viewers_n:	how many
 * @demo:	machines that this process started, or NULL
 */
struct web {
	const struct web_config *config;
	struct uri at;
	char token[WEB_TOKEN + 1];
	struct web_rules rules;
	struct loop *loop;
	struct evhttp *http;
	TAILQ_HEAD(web_accepted_list, web_accepted) accepted;
	struct web_deadlines deadlines;
	struct web_machines machines;
	struct web_recording recording;
	struct web_viewer *viewers;
	unsigned viewers_n;
	struct web_demo *demo;
};

/**
 * web_handler - Answers a request that web_guard_check() let pass
 * @w:		the process
 * @req:	the request; its header Content-Type of the answer is set
 */
typedef void web_handler(struct web *w, struct evhttp_request *req);

/**
 * struct web_route - A path of the server
 * @path:	e.g. "/api/stream"
 * @needs:	bits of enum web_needs
 * @type:	Content-Type of the answer; NULL: @handle adds it
 * @handle:	answers it
 */
struct web_route {
	const char *path;
	unsigned needs;
	const char *type;
	web_handler *handle;
};

/** web_route_find() - The route of a path, or NULL */
const struct web_route *web_route_find(const char *path);

#endif /* FERRY_WEB_PRIVATE_H */
