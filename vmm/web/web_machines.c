// SPDX-License-Identifier: MIT
/* web_machines.c - The machines that the page shows */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "vmm/base/clock.h"
#include "vmm/base/loop.h"
#include "web_console.h"
#include "web_follower.h"
#include "web_machines.h"
#include "web_private.h"
#include "web_stream.h"

#define LOOK_SECONDS	1
#define RETRY_NS	(3 * NS_PER_S)	/* a machine that is lost */

static void on_output(void *ctx, const char *text)
{
	struct web_machine *m = ctx;

	web_stream_send(m->web, "console", m->id, "text", json_string(text));
}

/* @kept: what is known of the machine for routes that answer at once */
static void keep(json_t **kept, json_t *value)
{
	json_decref(*kept);
	*kept = json_incref(value);
}

static void open_console(struct web_machine *m, const char *path)
{
	web_console_close(m->console);
	m->console = web_console_open(loop_base(m->web->loop), path, on_output,
				      m);
}

static void on_changed(void *ctx, const char *what, json_t *value)
{
	struct web_machine *m = ctx;

	if (!strcmp(what, "console")) {
		open_console(m, json_string_value(value));
		json_decref(value);
		return;
	}
	if (!strcmp(what, "times")) {
		keep(&m->migration, value);
		json_decref(value);
		return;
	}
	m->answered = true;
	if (!strcmp(what, "machine"))
		keep(&m->state, value);
	else if (!strcmp(what, "migration"))
		keep(&m->migration, value);
	else if (!strcmp(what, "pages"))
		keep(&m->pages, value);
	web_stream_send(m->web, what, m->id, what, value);
}

static void on_ended(void *ctx, const struct error *why)
{
	struct web_machine *m = ctx;

	follower_free(m->follower);
	m->follower = NULL;
	web_console_close(m->console);
	m->console = NULL;
	if (m->answered || !m->failed)
		web_stream_send(m->web, "ended", m->id, "why",
				json_string(why->text));
	m->answered = false;
	m->failed = now_ns();
}

static void machine_follow(struct web_machine *m)
{
	const struct follower_events events = {
		.ctx = m, .changed = on_changed, .ended = on_ended,
	};
	struct web *w = m->web;

	m->follower = follower_new(w->loop, m->control, &events, NULL);
	if (m->follower)
		follower_watch(m->follower, w->viewers_n, false);
	else
		m->failed = now_ns();
}

struct web_machine *web_machines_find(struct web *w, const char *id)
{
	struct web_machine *m;

	TAILQ_FOREACH(m, &w->machines.list, link)
		if (!strcmp(m->id, id))
			return m;
	return NULL;
}

static void machine_free(struct web_machine *m)
{
	struct web_machines *all = &m->web->machines;

	TAILQ_REMOVE(&all->list, m, link);
	all->n--;
	follower_free(m->follower);
	web_console_close(m->console);
	json_decref(m->state);
	json_decref(m->migration);
	json_decref(m->pages);
	free(m);
}

/* The one that ended first is replaced. Return: whether there is room */
static bool make_room(struct web_machines *all)
{
	struct web_machine *m, *old = NULL;

	if (all->n < WEB_MACHINES_MAX)
		return true;
	TAILQ_FOREACH(m, &all->list, link)
		if (!m->follower && (!old || m->failed < old->failed))
			old = m;
	if (old)
		machine_free(old);
	return old;
}

static void machine_found(struct web *w, const char *id, const char *control)
{
	struct web_machine *m = web_machines_find(w, id);

	if (!m) {
		m = make_room(&w->machines) ? calloc(1, sizeof(*m)) : NULL;
		if (!m)
			return;
		m->web = w;
		snprintf(m->id, sizeof(m->id), "%s", id);
		snprintf(m->control, sizeof(m->control), "%s", control);
		TAILQ_INSERT_TAIL(&w->machines.list, m, link);
		w->machines.n++;
	} else if (m->follower || now_ns() - m->failed < RETRY_NS) {
		return;
	}
	machine_follow(m);
}

static bool on_name(void *ctx, const char *name)
{
	char path[RUNTIME_PATH_MAX];

	if (!runtime_path(name, path, sizeof(path), NULL))
		machine_found(ctx, name, path);
	return true;
}

void web_machines_look(struct web *w)
{
	char dir[RUNTIME_PATH_MAX];

	if (!runtime_dir(dir, sizeof(dir), NULL))
		runtime_names(dir, on_name, w, NULL);
	for (unsigned i = 0; i < w->config->controls; i++)
		machine_found(w, w->config->control[i], w->config->control[i]);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	web_machines_look(ctx);
}

int web_machines_open(struct web *w, struct error *err)
{
	static const struct timeval often = { .tv_sec = LOOK_SECONDS };
	struct web_machines *all = &w->machines;

	TAILQ_INIT(&all->list);
	if (w->config->replay)
		return 0;
	for (unsigned i = 0; i < w->config->controls; i++)
		if (strlen(w->config->control[i]) >= RUNTIME_PATH_MAX)
			return error_set(err, ENAMETOOLONG, "--control: %s is "
					 "too long for the path of a socket",
					 w->config->control[i]);
	all->timer = event_new(loop_base(w->loop), -1, EV_PERSIST, on_timer,
			       w);
	if (!all->timer || event_add(all->timer, &often))
		return error_set(err, ENOMEM, "out of memory for a timer");
	web_machines_look(w);
	return 0;
}

void web_machines_close(struct web *w)
{
	struct web_machine *m;

	if (w->machines.timer)
		event_free(w->machines.timer);
	w->machines.timer = NULL;
	while ((m = TAILQ_FIRST(&w->machines.list)))
		machine_free(m);
}

void web_machines_watch(struct web *w, bool viewed, bool whole)
{
	struct web_machine *m;

	TAILQ_FOREACH(m, &w->machines.list, link)
		if (m->follower)
			follower_watch(m->follower, viewed, whole);
}
