// SPDX-License-Identifier: MIT
/* web_deadline.c - How long a connection may take for one request */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <event2/bufferevent.h>
#include <event2/event.h>

#include "vmm/base/clock.h"
#include "web_deadline.h"

struct web_wait {
	TAILQ_ENTRY(web_wait) link;
	struct bufferevent *bev;
	uint64_t end;		/* ns */
};

static void drop(struct web_deadlines *d, struct web_wait *w)
{
	TAILQ_REMOVE(&d->waits, w, link);
	bufferevent_decref(w->bev);
	free(w);
}

/* Does libevent still use the connection? Else its descriptor is closed */
static bool is_open(const struct web_wait *w)
{
	bufferevent_event_cb on_event;

	bufferevent_getcb(w->bev, NULL, NULL, &on_event, NULL);
	return on_event;
}

/* The timer for the first deadline */
static void arm(struct web_deadlines *d)
{
	const struct web_wait *first = TAILQ_FIRST(&d->waits);
	uint64_t now = now_ns(), us;
	struct timeval t;

	if (!first)
		return;
	us = first->end > now ? (first->end - now) / 1000 + 1 : 1;
	t = (struct timeval){ .tv_sec = (time_t)(us / 1000000),
			      .tv_usec = (suseconds_t)(us % 1000000) };
	event_add(d->timer, &t);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
	struct web_deadlines *d = ctx;
	struct web_wait *w;

	(void)fd;
	(void)what;
	while ((w = TAILQ_FIRST(&d->waits)) && now_ns() >= w->end) {
		/* libevent reads the end, and frees the connection */
		if (is_open(w))
			shutdown(bufferevent_getfd(w->bev), SHUT_RDWR);
		drop(d, w);
	}
	arm(d);
}

int web_deadlines_init(struct web_deadlines *d, struct event_base *base,
		       unsigned ms, struct error *err)
{
	*d = (struct web_deadlines){ .ms = ms };
	TAILQ_INIT(&d->waits);
	d->timer = event_new(base, -1, 0, on_deadline, d);
	return d->timer ? 0
		: error_set(err, ENOMEM, "out of memory for the server");
}

void web_deadlines_fini(struct web_deadlines *d)
{
	if (!d->timer)
		return;
	while (!TAILQ_EMPTY(&d->waits))
		drop(d, TAILQ_FIRST(&d->waits));
	event_free(d->timer);
	d->timer = NULL;
}

/* So there are never more entries than descriptors, but for one */
static void drop_closed(struct web_deadlines *d)
{
	struct web_wait *w = TAILQ_FIRST(&d->waits), *next;

	for (; w; w = next) {
		next = TAILQ_NEXT(w, link);
		if (!is_open(w))
			drop(d, w);
	}
}

int web_deadlines_begin(struct web_deadlines *d, struct bufferevent *bev)
{
	struct web_wait *w = malloc(sizeof(*w));

	if (!w)
		return -ENOMEM;
	drop_closed(d);
	bufferevent_incref(bev);
	*w = (struct web_wait){ .bev = bev, .end = ns_after(d->ms) };
	TAILQ_INSERT_TAIL(&d->waits, w, link);
	if (!event_pending(d->timer, EV_TIMEOUT, NULL))
		arm(d);
	return 0;
}

void web_deadlines_end(struct web_deadlines *d, struct bufferevent *bev)
{
	struct web_wait *w = TAILQ_FIRST(&d->waits);

	while (w && w->bev != bev)
		w = TAILQ_NEXT(w, link);
	if (w)
		drop(d, w);
}
