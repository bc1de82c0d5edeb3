// SPDX-License-Identifier: MIT
/*
 * control.c - QMP on a Unix socket
 *
 * The socket and its clients (control_client.c) belong to the main thread.
 * Events come from any thread. They are turned to text there, with the time,
 * and queued under a mutex; the main thread hands them to the clients. The
 * queue is the control's own and not just the loop's, so that control_close()
 * can deliver the last events of a machine after its loop has ended. A call
 * posted to the loop holds a reference, because it may run after the close.
 *
 * SIGPIPE must be ignored by the program: libevent writes with writev(2).
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/time.h>

#include "control.h"
#include "control_client.h"
#include "control_dispatch.h"
#include "qmp.h"
#include "vmm/base/control_listener.h"
#include "vmm/base/log.h"
#include "vmm/base/loop.h"

/* One event, on its way to the main thread */
struct event_text {
	STAILQ_ENTRY(event_text) link;
	char *text;
};

STAILQ_HEAD(event_queue, event_text);

struct control {
	atomic_uint refs;	/* the owner's, and one a posted call */
	struct loop *loop;
	struct control_listener listener;
	struct dispatch dispatch;
	struct clients clients;

	pthread_mutex_t lock;	/* guards the queue; innermost */
	struct event_queue events;
};

/**
 * on_accept() - Somebody connected
 * @ctx:	the control
 * @fd:		the connection
 */
static void on_accept(void *ctx, int fd)
{
	struct control *c = ctx;

	clients_add(&c->clients, fd);
}

/**
 * control_unref() - Give up a reference
 * @arg:	the control
 */
static void control_unref(void *arg)
{
	struct control *c = arg;

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
		error_set(err, ENOMEM, "no memory for the control socket");
		return NULL;
	}
	c->refs = 1;
	c->loop = loop;
	clients_init(&c->clients, loop, &c->dispatch);
	STAILQ_INIT(&c->events);
	pthread_mutex_init(&c->lock, NULL);

	if (control_listener_open(&c->listener, loop, path, on_accept, c,
				  err)) {
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

/**
 * control_drain() - Tell the clients all events that are queued
 * @c:		the control
 */
static void control_drain(struct control *c)
{
	struct event_queue taken = STAILQ_HEAD_INITIALIZER(taken);
	struct event_text *e;

	pthread_mutex_lock(&c->lock);
	STAILQ_CONCAT(&taken, &c->events);
	pthread_mutex_unlock(&c->lock);

	while ((e = STAILQ_FIRST(&taken))) {
		STAILQ_REMOVE_HEAD(&taken, link);
		clients_tell(&c->clients, e->text);
		free(e->text);
		free(e);
	}
}

/**
 * control_posted() - Events were queued
 * @arg:	the control, with a reference
 */
static void control_posted(void *arg)
{
	control_drain(arg);
	control_unref(arg);
}

void control_event(struct control *c, const char *name, json_t *data)
{
	struct event_text *e;
	struct timeval now;
	json_t *event;

	if (!c) {
		json_decref(data);
		return;
	}
	gettimeofday(&now, NULL);
	event = qmp_event(name, data, &now);
	e = calloc(1, sizeof(*e));
	if (e)
		e->text = qmp_text(event);
	json_decref(event);
	if (!e || !e->text) {
		log_line("no memory: event %s is lost", name);
		free(e);
		return;
	}

	pthread_mutex_lock(&c->lock);
	STAILQ_INSERT_TAIL(&c->events, e, link);
	pthread_mutex_unlock(&c->lock);

	/* Should this fail, the next event or the close delivers this one */
	atomic_fetch_add(&c->refs, 1);
	if (loop_post(c->loop, control_posted, c))
		control_unref(c);
}

void control_close(struct control *c)
{
	if (!c)
		return;

	/* Gone before the clients see the end, so that they can look for it */
	control_listener_close(&c->listener);
	/* The answers that were owed, and then the last events. Who would carry
	 * out commands that wait behind them is gone
	 */
	c->clients.last = true;
	loop_drain(c->loop);
	control_drain(c);
	clients_close(&c->clients);
	control_unref(c);
}
