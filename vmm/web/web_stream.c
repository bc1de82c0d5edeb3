// SPDX-License-Identifier: MIT
/*
 * web_stream.c - Messages to the pages that are open (server-sent events)
 *
 * A page first receives the recording, then each message as it comes. One that
 * does not read is disconnected; it can connect again and miss nothing.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>

#include "vmm/base/version.h"
#include "web_http.h"
#include "web_stream.h"

#define STREAM_SECONDS	(7 * 24 * 3600)	/* a page may stay open so long */

/* A page that is open */
struct web_viewer {
	struct web_viewer *next;
	struct web *web;
	struct evhttp_request *req;
};

static void send_line(struct web_viewer *v, const char *line, size_t n)
{
	struct evbuffer *out = evbuffer_new();

	if (out && !evbuffer_add(out, "data: ", 6) &&
	    !evbuffer_add(out, line, n) && !evbuffer_add(out, "\n\n", 2))
		evhttp_send_reply_chunk(v->req, out);
	if (out)
		evbuffer_free(out);
}

static struct web_viewer **viewer_link(struct web *w, struct web_viewer *v)
{
	struct web_viewer **at = &w->viewers;

	while (*at != v)
		at = &(*at)->next;
	return at;
}

static void viewer_forget(struct web_viewer *v)
{
	struct web *w = v->web;

	*viewer_link(w, v) = v->next;
	w->viewers_n--;
	free(v);
	if (!w->viewers_n)
		web_machines_watch(w, false, false);
}

static void on_close(struct evhttp_connection *c, void *arg)
{
	(void)c;
	viewer_forget(arg);
}

static bool is_behind(struct web_viewer *v)
{
	struct evhttp_connection *c = evhttp_request_get_connection(v->req);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(c);

	return evbuffer_get_length(bufferevent_get_output(bev)) >
	       RECORDING_MAX + VIEWER_BEHIND;
}

/* The connection's callback frees the viewer */
static void viewer_disconnect(struct web_viewer *v)
{
	evhttp_connection_free(evhttp_request_get_connection(v->req));
}

static json_t *message(const char *kind, const char *id, const char *member,
		       json_t *value)
{
	struct timeval now;
	json_t *msg;

	gettimeofday(&now, NULL);
	msg = json_pack("{s:I, s:s}", "t", (json_int_t)now.tv_sec * 1000 +
			now.tv_usec / 1000, "kind", kind);
	if (id)
		json_object_set_new(msg, "id", json_string(id));
	json_object_set_new(msg, member, value);
	return msg;
}

/* A full recording begins anew, with all state */
static void record(struct web *w, const char *line)
{
	if (web_recording_add(&w->recording, line) != -ENOSPC)
		return;
	web_recording_clear(&w->recording);
	web_recording_add(&w->recording, line);
	web_machines_watch(w, w->viewers_n, true);
}

void web_stream_send(struct web *w, const char *kind, const char *id,
		     const char *member, json_t *value)
{
	json_t *msg = message(kind, id, member, value);
	char *line = msg ? json_dumps(msg, JSON_COMPACT |
				      JSON_REAL_PRECISION(9)) : NULL;
	struct web_viewer *v, *next;

	json_decref(msg);
	if (!line)
		return;
	record(w, line);
	for (v = w->viewers; v; v = next) {
		next = v->next;
		if (is_behind(v))
			viewer_disconnect(v);
		else
			send_line(v, line, strlen(line));
	}
	free(line);
}

/* What the page must know before the first message; not recorded */
static void send_hello(struct web_viewer *v)
{
	const struct web *w = v->web;
	json_t *msg = message("hello", NULL, "server", json_pack(
		"{s:s, s:b, s:b}", "version", FERRY_VERSION, "read-only",
		w->rules.fixed, "replay", w->config->replay != NULL));
	char *line = json_dumps(msg, JSON_COMPACT);

	if (line)
		send_line(v, line, strlen(line));
	free(line);
	json_decref(msg);
}

static void send_recording(struct web_viewer *v)
{
	const struct web_recording *r = &v->web->recording;
	const char *at = r->text, *line;
	size_t n;

	while (r->len && web_recording_next(&at, r->text + r->len, &line, &n))
		send_line(v, line, n);
}

/* The page can show all at once after this, instead of line by line */
static void send_live(struct web_viewer *v)
{
	static const char line[] = "{\"kind\":\"live\"}";

	send_line(v, line, strlen(line));
}

void web_stream_open(struct web *w, struct evhttp_request *req)
{
	struct evhttp_connection *c = evhttp_request_get_connection(req);
	struct web_viewer *v;

	if (w->viewers_n >= VIEWERS_MAX) {
		web_http_error(req, HTTP_SERVUNAVAIL, "too many pages are "
			       "open: close one");
		return;
	}
	v = calloc(1, sizeof(*v));
	if (!v) {
		web_http_error(req, HTTP_INTERNAL, "out of memory");
		return;
	}
	*v = (struct web_viewer){ .next = w->viewers, .web = w, .req = req };
	w->viewers = v;
	w->viewers_n++;
	evhttp_connection_set_timeout(c, STREAM_SECONDS);
	evhttp_connection_set_closecb(c, on_close, v);
	evhttp_send_reply_start(req, HTTP_OK, NULL);
	send_hello(v);
	send_recording(v);
	send_live(v);
	web_machines_watch(w, true, false);
}

void web_stream_close(struct web *w)
{
	while (w->viewers)
		viewer_disconnect(w->viewers);
}
