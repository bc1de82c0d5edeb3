/* SPDX-License-Identifier: MIT */
/*
 * web_deadline.h - How long a connection may take for one request
 *
 * libevent's own limit (evhttp_set_timeout()) counts from the last byte, so a
 * client that sends a byte now and then would keep its descriptor for ever. Here
 * the time counts from the moment at which the connection was accepted, or its
 * last answer was sent, to the moment at which the whole request has come.
 *
 * libevent does not report that it has closed a connection, and its descriptor's
 * number may be another one's soon. So an entry has the kernel's cookie of its
 * socket, too: a socket that has another one is left alone.
 */
#ifndef FERRY_WEB_DEADLINE_H
#define FERRY_WEB_DEADLINE_H

#include <sys/queue.h>

#include "vmm/base/error.h"

struct event;
struct event_base;
struct web_wait;

/**
 * struct web_deadlines - Connections whose next request has not come
 * @waits:	they, in the order of their deadlines
 * @timer:	runs at the first of them
 * @ms:		how long a request may take
 */
struct web_deadlines {
	TAILQ_HEAD(web_waits, web_wait) waits;
	struct event *timer;
	unsigned ms;
};

/**
 * web_deadlines_init() - No connection waits
 * @d:		filled in
 * @base:	main thread's
 * @ms:		how long a request may take
 * @err:	why not
 *
 * Return: 0, -ENOMEM
 */
int web_deadlines_init(struct web_deadlines *d, struct event_base *base,
		       unsigned ms, struct error *err);

/** web_deadlines_fini() - Forget all; fine on one that is all zeroes */
void web_deadlines_fini(struct web_deadlines *d);

/**
 * web_deadlines_begin() - A connection's next request is due
 * @d:		the deadlines
 * @fd:		the connection, which is ended unless web_deadlines_end() comes in
 *		time; an earlier entry with this number is replaced
 *
 * Return: 0, -ENOMEM
 */
int web_deadlines_begin(struct web_deadlines *d, int fd);

/** web_deadlines_end() - The request has come; fine if none was due */
void web_deadlines_end(struct web_deadlines *d, int fd);

#endif /* FERRY_WEB_DEADLINE_H */
