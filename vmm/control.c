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
#include <string.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <event2/event.h>
#include <event2/listener.h>

#include "control.h"
#include "control_client.h"
#include "control_dispatch.h"
#include "control_socket.h"
#include "log.h"
#include "loop.h"
#include "qmp.h"

/* How long nobody is let in after accept(2) failed, e.g. for descriptors */
static const struct timeval accept_pause = { .tv_sec = 1 };

/* One event, on its way to the main thread */
struct event_text {
	STAILQ_ENTRY(event_text) link;
	char *text;
};

STAILQ_HEAD(event_queue, event_text);

struct control {
	atomic_uint refs;	/* the owner's, and one a posted call */
	struct loop *loop;
	char *path;
	struct control_socket socket;
	struct evconnlistener *listener;
	struct event *again;	/* timer: let clients in again */
	struct dispatch dispatch;
	struct clients clients;

	pthread_mutex_t lock;	/* guards the queue; innermost */
	struct event_queue events;
};

/**
 * on_accept() - Somebody connected
 * @listener:	the socket
 * @fd:		the connection
 * @sa:		the peer's address, of no interest
 * @len:	of it
 * @arg:	the control
 */
static void on_accept(struct evconnlistener *listener, evutil_socket_t fd,
		      struct sockaddr *sa, int len, void *arg)
{
	struct control *c = arg;

	(void)listener;
	(void)sa;
	(void)len;
	clients_add(&c->clients, fd);
}

/**
 * on_accept_error() - accept(2) failed: pause, or it fails again at once
 * @listener:	the socket
 * @arg:	the control
 */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct control *c = arg;

	log_line("cannot accept a control client: %m");
	evconnlistener_disable(listener);
	evtimer_add(c->again, &accept_pause);
}

/**
 * on_again() - The pause is over
 * @fd:		-1
 * @what:	EV_TIMEOUT
 * @arg:	the control
 */
static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(c->listener);
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
	free(c->path);
	free(c);
}

/**
 * control_listen() - Make what listens
 * @c:		the control
 * @err:	why not
 *
 * Return: 0, or -errno with @c->listener NULL
 */
static int control_listen(struct control *c, struct error *err)
{
	struct event_base *base = loop_base(c->loop);
	int rc;

	rc = control_socket_open(&c->socket, c->path, err);
	if (rc)
		return rc;

	c->again = evtimer_new(base, on_again, c);
	if (c->again)
		c->listener = evconnlistener_new(base, on_accept, c,
				LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
				0, c->socket.fd);
	if (c->listener) {
		evconnlistener_set_error_cb(c->listener, on_accept_error);
		return 0;
	}

	if (c->again)
		event_free(c->again);
	control_socket_unlink(&c->socket, c->path);
	evutil_closesocket(c->socket.fd);
	return error_set(err, ENOMEM, "libevent cannot watch the control "
			 "socket");
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

	c->path = strdup(path);
	if (!c->path)
		error_set(err, ENOMEM, "no memory for the control socket");
	if (!c->path || control_listen(c, err)) {
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
	control_socket_unlink(&c->socket, c->path);
	evconnlistener_free(c->listener);
	event_free(c->again);

	control_drain(c);
	clients_close(&c->clients);
	control_unref(c);
}
