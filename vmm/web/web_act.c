// SPDX-License-Identifier: MIT
/* web_act.c - Requests that need an answer of a machine */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "web_act.h"
#include "web_action.h"
#include "web_console.h"
#include "web_demo.h"
#include "web_follower.h"
#include "web_http.h"
#include "web_stream.h"

/* A request that waits for a machine; @req is NULL once the page has gone */
struct waiting {
	struct evhttp_request *req;
};

static void on_close(struct evhttp_connection *c, void *ctx)
{
	struct waiting *x = ctx;

	(void)c;
	x->req = NULL;
}

static void on_answer(void *ctx, json_t *ret, const struct error *err)
{
	struct waiting *x = ctx;

	if (x->req) {
		evhttp_connection_set_closecb(
			evhttp_request_get_connection(x->req), NULL, NULL);
		if (err->code)
			web_http_error(x->req, HTTP_BADREQUEST, err->text);
		else
			web_http_json(x->req, json_incref(ret));
	}
	free(x);
}

/* @args: taken over. @ms: how long the machine may take */
static void execute(struct web_machine *m, struct evhttp_request *req,
		    const char *command, json_t *args, int ms)
{
	struct waiting *x = m->follower ? malloc(sizeof(*x)) : NULL;

	if (!x) {
		json_decref(args);
		web_http_error(req, HTTP_BADREQUEST, m->follower ?
			       "out of memory" : "this machine has ended");
		return;
	}
	x->req = req;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req),
				      on_close, x);
	follower_execute(m->follower, command, args, ms, on_answer, x);
}

static const char *uri_of(const struct web *w, const struct web_machine *m,
			  const struct web_action *a)
{
	if (*a->uri)
		return a->uri;
	if (*a->to)
		return web_demo_uri(w, a->to);
	return json_string_value(json_object_get(json_object_get(m->migration,
						 "ferry"), "uri"));
}

static void reply_done(struct evhttp_request *req, const struct error *err)
{
	if (err->code)
		web_http_error(req, HTTP_BADREQUEST, err->text);
	else
		web_http_json(req, json_object());
}

static void act_on(struct web *w, struct web_machine *m,
		   const struct web_action *a, struct evhttp_request *req)
{
	const bool needs_uri = a->kind == ACT_MIGRATE || a->kind == ACT_RECOVER;
	const char *uri = needs_uri ? uri_of(w, m, a) : NULL, *command;
	struct error err = { 0 };
	json_t *args;

	if (needs_uri && !uri)
		error_set(&err, EINVAL, "it is not known where the destination "
			  "waits: type its address");
	if (a->kind == ACT_TYPE &&
	    web_console_type(m->console, a->text, strlen(a->text)))
		error_set(&err, EIO, "the guest does not read its console");
	if (err.code || a->kind == ACT_TYPE) {
		reply_done(req, &err);
		return;
	}
	command = web_action_command(a, uri, &args);
	/* The recording shows which commands were given in the page */
	web_stream_send(w, "action", a->id, "action", json_string(command));
	execute(m, req, command, args, web_action_ms(a));
}

void web_act(struct web *w, struct evhttp_request *req)
{
	struct error err = { 0 };
	struct web_machine *m;
	struct web_action a;
	json_t *body = web_http_body(req, &err);
	int rc = body ? web_action_parse(body, &a, &err) : -EINVAL;

	json_decref(body);
	if (rc) {
		web_http_error(req, HTTP_BADREQUEST, err.text);
		return;
	}
	if (a.kind == ACT_DEMO || a.kind == ACT_END_DEMO) {
		if (a.kind == ACT_DEMO)
			web_demo_start(w, &a, &err);
		else
			web_demo_end(w);
		reply_done(req, &err);
		return;
	}
	m = web_machines_find(w, a.id);
	if (m)
		act_on(w, m, &a, req);
	else
		web_http_error(req, HTTP_NOTFOUND, "there is no such machine");
}

/* Return: false if it is no number */
static bool add_number(json_t *args, const char *name, const char *text)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || *end || !*text || n < 0)
		return false;
	json_object_set_new(args, name, json_integer(n));
	return true;
}

/* Return: arguments, or NULL if the query is wrong */
static json_t *pages_args(struct evkeyvalq *query)
{
	static const char *const names[] = { "begin", "size", "grain",
					     "cells", "cursor" };
	json_t *args = json_object();

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *text = evhttp_find_header(query, names[i]);

		if (text && !add_number(args, names[i], text)) {
			json_decref(args);
			return NULL;
		}
	}
	return args;
}

void web_act_pages(struct web *w, struct evhttp_request *req)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *text = evhttp_uri_get_query(uri), *id;
	struct web_machine *m = NULL;
	struct evkeyvalq query;
	json_t *args = NULL;

	if (!evhttp_parse_query_str(text ? text : "", &query)) {
		id = evhttp_find_header(&query, "id");
		m = id ? web_machines_find(w, id) : NULL;
		args = pages_args(&query);
		evhttp_clear_headers(&query);
	}
	if (m && args) {
		execute(m, req, "query-ferry-pages", args,
			FOLLOWER_TIMEOUT_MS);
		return;
	}
	json_decref(args);
	web_http_error(req, HTTP_BADREQUEST, m ? "the query has a wrong number"
					       : "there is no such machine");
}
