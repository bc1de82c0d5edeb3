// SPDX-License-Identifier: MIT
/*
 * control.c - QMP on a Unix socket
 *
 * The socket and its clients (control_client.c) belong to the main thread.
 * Events come from any thread, which turns them into text with a timestamp and
 * puts them into a queue; the main thread sends them to the clients. The queue
 * is the control's own, not the loop's, so that control_close() can send the
 * last events of a machine after its loop ended. At most one call is posted to
 * the loop at a time; it holds a reference, because it may run after the close.
 *
 * A call sends EVENTS_PER_TURN events and posts itself again for the rest. In
 * between the loop writes to the sockets and runs commands.
 *
 * The program must ignore SIGPIPE: libevent writes with writev(2).
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/time.h>

#include "control.h"
#include "control_client.h"
#include "control_dispatch.h"
#include "qmp.h"
#include "vmm/base/log.h"
#include "vmm/base/loop.h"
#include "vmm/base/thread.h"
#include "vmm/base/unix_listener.h"

#define EVENTS_PER_TURN 256

/* @lost: events that were dropped just before this one */
struct event_text {
	STAILQ_ENTRY(event_text) link;
	char *text;
	unsigned lost;
};

STAILQ_HEAD(event_queue, event_text);

struct control {
	atomic_uint refs;	/* the owner's, and one for a posted call */
	struct loop *loop;
	struct unix_listener listener;
	struct dispatch dispatch;
	struct clients clients;

	pthread_mutex_t lock;	/* protects all below; innermost */
	struct event_queue events;
	unsigned count;		/* of @events */
	unsigned lost;		/* dropped since the last of @events */
	uint64_t lost_total;
	bool posted;		/* a call is posted to the loop */
};

static void on_accept(void *ctx, int fd)
{
	struct control *c = ctx;

	clients_add(&c->clients, fd);
}

static void control_unref(struct control *c)
{
	if (atomic_fetch_sub(&c->refs, 1) > 1)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c);
}

struct control *control_open(struct loop *loop, const char *path,
			     struct error *err)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c) {
		error_set(err, ENOMEM, "out of memory for the control socket");
		return NULL;
	}
	c->refs = 1;
	c->loop = loop;
	clients_init(&c->clients, loop, &c->dispatch);
	STAILQ_INIT(&c->events);
	thread_mutex_init(&c->lock);

	if (unix_listener_open(&c->listener, loop, path, on_accept, c, err)) {
		control_unref(c);
		return NULL;
	}
	return c;
}

void control_add(struct control *c, const struct control_command *table,
		 void *ctx)
{
	dispatch_add(&c->dispatch, table, ctx);
}

void control_answer(struct control_later *later, json_t *ret,
		    const struct error *err)
{
	later->ret = ret;
	if (err)
		later->err = *err;
	if (loop_post(later->loop, later->done, later))
		log_line("out of memory: an answer to a client is lost");
}

static char *event_format(const char *name, json_t *data)
{
	struct timeval now;
	json_t *event;
	char *text;

	gettimeofday(&now, NULL);
	event = qmp_event(name, data, &now);
	text = qmp_text(event);
	json_decref(event);
	return text;
}

static void send_lost(struct control *c, unsigned lost)
{
	char *text = lost ? event_format("FERRY_EVENTS_LOST",
					 json_pack("{s:I}", "count",
						   (json_int_t)lost)) : NULL;

	if (text)
		clients_tell(&c->clients, text);
}

/* Send @max events to the clients. Return: false if the queue is empty */
static bool send_events(struct control *c, unsigned max)
{
	struct event_text *e;
	unsigned lost;

	for (; max; max--) {
		pthread_mutex_lock(&c->lock);
		e = STAILQ_FIRST(&c->events);
		lost = e ? e->lost : c->lost;
		if (e) {
			STAILQ_REMOVE_HEAD(&c->events, link);
			c->count--;
		} else {
			c->lost = 0;
			c->posted = false;
		}
		pthread_mutex_unlock(&c->lock);

		send_lost(c, lost);
		if (!e)
			return false;
		clients_tell(&c->clients, e->text);
		free(e);
	}
	return true;
}

static void on_posted(void *arg);

/* Takes over a reference. If it fails, the next event or the close posts */
static void post_call(struct control *c)
{
	if (!loop_post(c->loop, on_posted, c))
		return;
	pthread_mutex_lock(&c->lock);
	c->posted = false;
	pthread_mutex_unlock(&c->lock);
	control_unref(c);
}

static void on_posted(void *arg)
{
	struct control *c = arg;

	if (send_events(c, EVENTS_PER_TURN))
		post_call(c);
	else
		control_unref(c);
}

uint64_t control_events_lost(struct control *c)
{
	uint64_t n;

	pthread_mutex_lock(&c->lock);
	n = c->lost_total;
	pthread_mutex_unlock(&c->lock);
	return n;
}

void control_event(struct control *c, const char *name, json_t *data)
{
	struct event_text *e;
	bool full, post;

	if (!c) {
		json_decref(data);
		return;
	}
	e = calloc(1, sizeof(*e));
	if (e)
		e->text = event_format(name, data);
	else
		json_decref(data);
	if (!e || !e->text) {
		log_line("out of memory: event %s is lost", name);
		free(e);
		return;
	}

	pthread_mutex_lock(&c->lock);
	full = c->count == CONTROL_EVENTS_MAX;
	if (full) {
		c->lost++;
		c->lost_total++;
	} else {
		e->lost = c->lost;
		c->lost = 0;
		c->count++;
		STAILQ_INSERT_TAIL(&c->events, e, link);
	}
	post = !c->posted;
	c->posted = true;
	pthread_mutex_unlock(&c->lock);
	if (full) {
		free(e->text);
		free(e);
	}
	if (post) {
		atomic_fetch_add(&c->refs, 1);
		post_call(c);
	}
}

void control_close(struct control *c)
{
	if (!c)
		return;

	/* A client may look for the socket as soon as it is disconnected */
	unix_listener_close(&c->listener);
	/* Send the answers that are owed, then the last events. Commands that
	 * came after those are not run: their modules are freed already
	 */
	c->clients.last = true;
	loop_drain(c->loop);
	send_events(c, 2 * CONTROL_EVENTS_MAX);
	clients_close(&c->clients);
	control_unref(c);
}
