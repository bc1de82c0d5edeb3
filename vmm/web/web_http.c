// SPDX-License-Identifier: MIT
/* web_http.c - The HTTP server: limits, headers, routes */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "vmm/base/loop.h"
#include "vmm/base/units.h"
#include "web_http.h"
#include "web_private.h"

#define HEADERS_MAX	(16 * 1024)
#define BODY_MAX	(64 * 1024)
#define INPUT_MAX	(256 * 1024)	/* that waits while an answer is sent */

/* On every answer. The page uses no inline script or style and no other host */
static const char *const headers[][2] = {
	{ "Content-Security-Policy",
	  "default-src 'none'; script-src 'self'; style-src 'self'; "
	  "img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
	  "form-action 'none'; frame-ancestors 'none'" },
	{ "X-Content-Type-Options", "nosniff" },
	{ "Referrer-Policy", "no-referrer" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
	{ "Cache-Control", "no-store" },
};

void web_http_text(struct evhttp_request *req, int status, const char *text,
		   size_t len)
{
	struct evbuffer *out = evbuffer_new();

	if (out && !evbuffer_add(out, text, len))
		evhttp_send_reply(req, status, NULL, out);
	else
		evhttp_send_reply(req, HTTP_INTERNAL, NULL, NULL);
	if (out)
		evbuffer_free(out);
}

void web_http_shared(struct evhttp_request *req, const char *text, size_t len,
		     web_http_released *released, void *ctx)
{
	struct evbuffer *out = evbuffer_new();

	if (out && !evbuffer_add_reference(out, text, len, released, ctx)) {
		evhttp_send_reply(req, HTTP_OK, NULL, out);
	} else {
		released(text, len, ctx);
		evhttp_send_reply(req, HTTP_INTERNAL, NULL, NULL);
	}
	if (out)
		evbuffer_free(out);
}

void web_http_json(struct evhttp_request *req, json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT |
					JSON_REAL_PRECISION(12)) : NULL;

	json_decref(value);
	if (text)
		web_http_text(req, HTTP_OK, text, strlen(text));
	else
		evhttp_send_reply(req, HTTP_INTERNAL, NULL, NULL);
	free(text);
}

void web_http_error(struct evhttp_request *req, int status, const char *why)
{
	json_t *value = json_pack("{s:s}", "error", why);
	char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
	struct evkeyvalq *out = evhttp_request_get_output_headers(req);

	json_decref(value);
	evhttp_remove_header(out, "Content-Type");
	evhttp_add_header(out, "Content-Type", "application/json");
	web_http_text(req, status, text ? text : "{}", text ? strlen(text) : 2);
	free(text);
}

json_t *web_http_body(struct evhttp_request *req, struct error *err)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	size_t n = evbuffer_get_length(in);
	json_error_t why;
	json_t *body = json_loadb((const char *)evbuffer_pullup(in, -1), n,
				  JSON_REJECT_DUPLICATES, &why);

	if (json_is_object(body))
		return body;
	json_decref(body);
	error_set(err, EINVAL, "the request's body is not a JSON object");
	return NULL;
}

static int fd_of(struct evhttp_request *req)
{
	return bufferevent_getfd(evhttp_connection_get_bufferevent(
		evhttp_request_get_connection(req)));
}

/* The answer was sent */
static void on_answered(struct evhttp_request *req, void *ctx)
{
	struct web *w = ctx;

	web_deadlines_begin(&w->deadlines, fd_of(req));
}

static void on_request(struct evhttp_request *req, void *ctx)
{
	struct web *w = ctx;
	struct evkeyvalq *in = evhttp_request_get_input_headers(req);
	struct evkeyvalq *out = evhttp_request_get_output_headers(req);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = evhttp_uri_get_path(uri);
	const struct web_route *r = path ? web_route_find(path) : NULL;
	const struct web_headers h = {
		.post = evhttp_request_get_command(req) == EVHTTP_REQ_POST,
		.host = evhttp_find_header(in, "Host"),
		.origin = evhttp_find_header(in, "Origin"),
		.token = evhttp_find_header(in, "Ferry-Token"),
	};
	struct error err = { 0 };
	int status;

	web_deadlines_end(&w->deadlines, fd_of(req));
	evhttp_request_set_on_complete_cb(req, on_answered, w);
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		evhttp_add_header(out, headers[i][0], headers[i][1]);
	status = web_guard_check(&w->rules, &h,
				 r ? r->needs : h.post ? WEB_ACTION : 0, &err);
	if (status) {
		web_http_error(req, status, err.text);
	} else if (!r) {
		web_http_error(req, HTTP_NOTFOUND, "there is no such page");
	} else {
		if (r->type)
			evhttp_add_header(out, "Content-Type", r->type);
		r->handle(w, req);
	}
}

static void on_resume(evutil_socket_t fd, short what, void *listener)
{
	(void)fd;
	(void)what;
	evconnlistener_enable(listener);
}

/* No descriptor is left for another connection: accept none for a moment */
static void on_full(struct evconnlistener *listener, void *ctx)
{
	static const struct timeval moment = { .tv_usec = 200000 };

	(void)ctx;
	evconnlistener_disable(listener);
	event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT,
			on_resume, listener, &moment);
}

/* A connection that libevent has just accepted */
struct web_accepted {
	TAILQ_ENTRY(web_accepted) link;
	struct web *w;
	struct bufferevent *bev;
	struct event *later;
};

static void accepted_free(struct web_accepted *a)
{
	TAILQ_REMOVE(&a->w->accepted, a, link);
	event_free(a->later);
	bufferevent_decref(a->bev);
	free(a);
}

static void on_accepted(evutil_socket_t none, short what, void *ctx)
{
	struct web_accepted *a = ctx;
	evutil_socket_t fd = bufferevent_getfd(a->bev);

	(void)none;
	(void)what;
	/* Without memory for it libevent's own limit remains */
	if (fd >= 0)
		web_deadlines_begin(&a->w->deadlines, fd);
	accepted_free(a);
}

/* libevent sets the descriptor when this has returned: in the same turn */
static void await_descriptor(struct web *w, struct bufferevent *bev)
{
	struct web_accepted *a = malloc(sizeof(*a));
	struct event *later = a ? event_new(bufferevent_get_base(bev), -1, 0,
					    on_accepted, a) : NULL;

	if (!later) {
		free(a);
		return;
	}
	*a = (struct web_accepted){ .w = w, .bev = bev, .later = later };
	TAILQ_INSERT_TAIL(&w->accepted, a, link);
	bufferevent_incref(bev);
	event_active(later, EV_TIMEOUT, 0);
}

/* libevent reads from a client also while it answers, without a limit */
static struct bufferevent *on_accept(struct event_base *base, void *ctx)
{
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);

	if (!bev)
		return NULL;
	bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
	await_descriptor(ctx, bev);
	return bev;
}

int web_http_open(struct web *w, struct error *err)
{
	struct evhttp_bound_socket *at;
	int rc = web_deadlines_init(&w->deadlines, loop_base(w->loop),
				    WEB_REQUEST_S * 1000, err);

	TAILQ_INIT(&w->accepted);
	if (rc)
		return rc;
	w->http = evhttp_new(loop_base(w->loop));
	if (!w->http)
		return error_set(err, ENOMEM, "out of memory for the server");
	evhttp_set_allowed_methods(w->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
	evhttp_set_max_headers_size(w->http, HEADERS_MAX);
	evhttp_set_max_body_size(w->http, BODY_MAX);
	evhttp_set_timeout(w->http, WEB_REQUEST_S);
	evhttp_set_bevcb(w->http, on_accept, w);
	evhttp_set_gencb(w->http, on_request, w);
	errno = 0;
	at = evhttp_bind_socket_with_handle(w->http, w->at.host,
					    (uint16_t)atoi(w->at.port));
	if (!at)
		return error_set(err, errno ? errno : EINVAL,
			"cannot listen at %s:%s: %s; --listen chooses another address",
			w->at.host, w->at.port,
			errno ? strerrordesc_np(errno) : "is the host right?");
	evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(at),
				    on_full);
	return 0;
}

void web_http_close(struct web *w)
{
	/* The loop has ended before the turn that would have freed them */
	while (!TAILQ_EMPTY(&w->accepted))
		accepted_free(TAILQ_FIRST(&w->accepted));
	if (w->http)
		evhttp_free(w->http);
	w->http = NULL;
	web_deadlines_fini(&w->deadlines);
}
