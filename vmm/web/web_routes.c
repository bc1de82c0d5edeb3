// SPDX-License-Identifier: MIT
/* web_routes.c - The paths of the server */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/http.h>

#include "web_act.h"
#include "web_http.h"
#include "web_metrics.h"
#include "web_page.h"
#include "web_private.h"
#include "web_stream.h"

#define JSON	"application/json"

static void get_page(struct web *w, struct evhttp_request *req)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const struct web_page_file *f = web_page_find(evhttp_uri_get_path(uri));

	(void)w;
	evhttp_add_header(evhttp_request_get_output_headers(req),
			  "Content-Type", f->type);
	web_http_text(req, HTTP_OK, f->data, (size_t)(f->end - f->data));
}

static json_t *machine_json(const struct web_machine *m)
{
	return json_pack("{s:s, s:b, s:O?, s:O?}", "id", m->id, "followed",
			 m->follower != NULL, "machine", m->state,
			 "migration", m->migration);
}

/* All machines, as they were when they were last queried */
static json_t *machines_json(struct web *w)
{
	json_t *list = json_array();
	const struct web_machine *m = TAILQ_FIRST(&w->machines.list);

	for (; m; m = TAILQ_NEXT(m, link))
		json_array_append_new(list, machine_json(m));
	return list;
}

static void get_machines(struct web *w, struct evhttp_request *req)
{
	web_http_json(req, machines_json(w));
}

static void get_metrics(struct web *w, struct evhttp_request *req)
{
	struct evkeyvalq *in = evhttp_request_get_input_headers(req);
	struct evkeyvalq *out = evhttp_request_get_output_headers(req);
	enum metrics_format format =
		metrics_format_for(evhttp_find_header(in, "Accept"));
	json_t *list = machines_json(w);
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	if (to) {
		metrics_write(to, list, format);
		fclose(to);
	}
	json_decref(list);
	evhttp_add_header(out, "Content-Type", metrics_type(format));
	web_http_text(req, HTTP_OK, text ? text : "", size);
	free(text);
}

static void release_recording(const void *text, size_t len, void *held)
{
	(void)text;
	(void)len;
	web_recording_release(held);
}

static void get_recording(struct web *w, struct evhttp_request *req)
{
	struct web_recording *r = &w->recording;

	if (r->len)
		web_http_shared(req, r->text, r->len, release_recording,
				web_recording_hold(r));
	else
		web_http_text(req, HTTP_OK, "", 0);
}

static const struct web_route routes[] = {
	{ "/metrics", 0, NULL, get_metrics },
	{ "/api/machines", WEB_TOKEN_NEEDED, JSON, get_machines },
	{ "/api/stream", WEB_TOKEN_NEEDED, "text/event-stream",
	  web_stream_open },
	{ "/api/pages", WEB_TOKEN_NEEDED, JSON, web_act_pages },
	{ "/api/recording", WEB_TOKEN_NEEDED, "application/x-ndjson",
	  get_recording },
	{ "/api/act", WEB_TOKEN_NEEDED | WEB_ACTION | WEB_WRITES, JSON,
	  web_act },
	{ 0 }
};

static const struct web_route page_route = { .path = "", .handle = get_page };

const struct web_route *web_route_find(const char *path)
{
	for (const struct web_route *r = routes; r->path; r++)
		if (!strcmp(r->path, path))
			return r;
	return web_page_find(path) ? &page_route : NULL;
}
