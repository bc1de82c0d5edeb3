// SPDX-License-Identifier: MIT
/*
 * chardev_socket.c - Terminals that are attached to the guest's serial port
 *
 * Output goes into a ring under a lock. Bytes are numbered from the first that
 * the guest printed here; each terminal has the number of the next byte to
 * send, and receives what its socket takes. A slow terminal only loses the
 * bytes that the ring has overwritten by then. The main thread is woken once
 * for all output that accumulates until it runs, and not at all while no
 * terminal is attached.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "chardev_socket.h"
#include "vmm/base/loop.h"
#include "vmm/base/unix_listener.h"

#define RING_SIZE	65536
#define AHEAD_MAX	16384	/* bytes in a terminal's own output buffer */
#define TYPED_MAX	4096	/* bytes of its input that are read ahead */

/* Time for the guest to empty its port's FIFO before the next try */
static const struct timeval soon = { .tv_usec = 10000 };

struct terminal {
	TAILQ_ENTRY(terminal) link;
	struct chardev_socket *c;
	struct bufferevent *bev;
	uint64_t next;			/* number of the next byte to send */
	bool ended;			/* freed when its input is taken */
};

struct chardev_socket {
	struct loop *loop;
	struct unix_listener listener;
	struct event *again;		/* timer: pass the input again */
	chardev_input_fn *fn;
	void *ctx;
	TAILQ_HEAD(terminal_list, terminal) list;	/* main thread only */
	atomic_uint count;
	atomic_bool leaving;

	pthread_mutex_t lock;		/* protects all below; innermost */
	uint8_t ring[RING_SIZE];
	uint64_t head;			/* bytes ever written */
	unsigned posted;		/* calls posted to the main thread */
	bool closed;
};

static void terminal_free(struct terminal *t)
{
	TAILQ_REMOVE(&t->c->list, t, link);
	t->c->count--;
	bufferevent_free(t->bev);
	free(t);
}

static void report_lost(struct evbuffer *out, uint64_t n)
{
	evbuffer_add_printf(out, "\r\n[ferry: %llu bytes lost]\r\n",
			    (unsigned long long)n);
}

/* Send what the terminal lacks, while less than @ahead bytes are buffered */
static void send_output(struct terminal *t, size_t ahead)
{
	struct evbuffer *out = bufferevent_get_output(t->bev);
	struct chardev_socket *c = t->c;

	pthread_mutex_lock(&c->lock);
	while (t->next < c->head && evbuffer_get_length(out) < ahead) {
		size_t at, n;

		if (c->head - t->next > RING_SIZE) {
			report_lost(out, c->head - RING_SIZE - t->next);
			t->next = c->head - RING_SIZE;
		}
		at = t->next % RING_SIZE;
		n = c->head - t->next;
		if (n > RING_SIZE - at)
			n = RING_SIZE - at;
		if (n > AHEAD_MAX)
			n = AHEAD_MAX;
		if (evbuffer_add(out, c->ring + at, n))
			break;
		t->next += n;
	}
	pthread_mutex_unlock(&c->lock);
}

/* Return: false if the terminal was freed */
static bool pass_input(struct terminal *t)
{
	struct evbuffer *in = bufferevent_get_input(t->bev);
	struct chardev_socket *c = t->c;
	size_t n = evbuffer_get_contiguous_space(in), taken = 0;

	if (n && c->fn && !c->leaving)
		taken = c->fn(c->ctx, evbuffer_pullup(in, (ssize_t)n), n);
	evbuffer_drain(in, taken);
	if (evbuffer_get_length(in)) {
		evtimer_add(c->again, &soon);
	} else if (t->ended) {
		terminal_free(t);
		return false;
	}
	return true;
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct chardev_socket *c = arg;
	struct terminal *t, *next;

	(void)fd;
	(void)what;
	for (t = TAILQ_FIRST(&c->list); t; t = next) {
		next = TAILQ_NEXT(t, link);
		pass_input(t);
	}
}

static void on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	pass_input(arg);
}

static void on_write(struct bufferevent *bev, void *arg)
{
	(void)bev;
	send_output(arg, AHEAD_MAX);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct terminal *t = arg;

	(void)bev;
	/* A terminal that reads no more may still send input */
	if (!(what & BEV_EVENT_READING))
		return;
	t->ended = true;
	pass_input(t);
}

static void on_accept(void *ctx, int fd)
{
	static const char full[] =
		"[ferry: too many terminals are attached]\r\n";
	struct chardev_socket *c = ctx;
	struct terminal *t = NULL;

	if (c->count >= TERMINALS_MAX)
		send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL);
	else if (!c->leaving)
		t = calloc(1, sizeof(*t));
	if (t)
		t->bev = bufferevent_socket_new(loop_base(c->loop), fd,
						BEV_OPT_CLOSE_ON_FREE);
	if (!t || !t->bev) {
		evutil_closesocket(fd);
		free(t);
		return;
	}
	t->c = c;
	TAILQ_INSERT_TAIL(&c->list, t, link);
	/* Count it before reading @head: a write in between posts a call */
	c->count++;
	pthread_mutex_lock(&c->lock);
	t->next = c->head > TERMINAL_SHOWN ? c->head - TERMINAL_SHOWN : 0;
	pthread_mutex_unlock(&c->lock);
	bufferevent_setcb(t->bev, on_read, on_write, on_event, t);
	bufferevent_setwatermark(t->bev, EV_READ, 0, TYPED_MAX);
	bufferevent_enable(t->bev, EV_READ | EV_WRITE);
	send_output(t, AHEAD_MAX);
}

/* First send all that their sockets take at once */
static void disconnect_all(struct chardev_socket *c)
{
	struct terminal *t;

	while ((t = TAILQ_FIRST(&c->list))) {
		send_output(t, SIZE_MAX);
		unix_flush(t->bev);
		terminal_free(t);
	}
}

static void destroy(struct chardev_socket *c)
{
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void on_posted(void *arg)
{
	struct chardev_socket *c = arg;
	struct terminal *t;
	bool closed, last;

	pthread_mutex_lock(&c->lock);
	last = !--c->posted;
	closed = c->closed;
	pthread_mutex_unlock(&c->lock);
	if (closed) {
		if (last)
			destroy(c);
		return;
	}
	for (t = TAILQ_FIRST(&c->list); t; t = TAILQ_NEXT(t, link))
		send_output(t, AHEAD_MAX);
	if (c->leaving)
		disconnect_all(c);
}

static void post(struct chardev_socket *c)
{
	if (loop_post(c->loop, on_posted, c)) {
		pthread_mutex_lock(&c->lock);
		c->posted--;
		pthread_mutex_unlock(&c->lock);
	}
}

void chardev_socket_write(struct chardev_socket *c, const uint8_t *data,
			  size_t n)
{
	bool wake;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	for (; n; n--, data++)
		c->ring[c->head++ % RING_SIZE] = *data;
	wake = c->count && !c->posted;
	c->posted += wake;
	pthread_mutex_unlock(&c->lock);
	if (wake)
		post(c);
}

void chardev_socket_leave(struct chardev_socket *c)
{
	if (!c || atomic_exchange(&c->leaving, true))
		return;
	pthread_mutex_lock(&c->lock);
	c->posted++;
	pthread_mutex_unlock(&c->lock);
	post(c);
}

struct chardev_socket *chardev_socket_open(struct loop *loop,
					   const char *path,
					   struct error *err)
{
	struct chardev_socket *c = calloc(1, sizeof(*c));

	if (!c) {
		error_set(err, ENOMEM, "out of memory for a console socket");
		return NULL;
	}
	c->loop = loop;
	TAILQ_INIT(&c->list);
	pthread_mutex_init(&c->lock, NULL);
	c->again = evtimer_new(loop_base(loop), on_again, c);
	if (!c->again) {
		error_set(err, ENOMEM, "out of memory for a console socket");
	} else if (!unix_listener_open(&c->listener, loop, path, on_accept,
					  c, err)) {
		return c;
	} else {
		event_free(c->again);
	}
	destroy(c);
	return NULL;
}

const char *chardev_socket_path(const struct chardev_socket *c)
{
	return c->listener.path;
}

void chardev_socket_listen(struct chardev_socket *c, chardev_input_fn *fn,
			   void *ctx)
{
	c->fn = fn;
	c->ctx = ctx;
}

void chardev_socket_close(struct chardev_socket *c)
{
	bool last;

	if (!c)
		return;
	unix_listener_close(&c->listener);
	disconnect_all(c);
	event_free(c->again);
	pthread_mutex_lock(&c->lock);
	c->closed = true;
	last = !c->posted;
	pthread_mutex_unlock(&c->lock);
	/* Else the last posted call frees it */
	if (last)
		destroy(c);
}
