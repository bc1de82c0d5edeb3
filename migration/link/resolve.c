// SPDX-License-Identifier: MIT
/*
 * resolve.c - Addresses of a host name, by a wait that can be given up
 *
 * getaddrinfo() may take minutes and can't be cancelled. A detached thread
 * calls it with a query of its own. The last of the two that are done with the
 * query, the thread or the one that waits, frees it.
 */

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resolve.h"

#define LOOK_MS		5	/* what `quit` may wait for a name */

struct query {
	struct uri uri;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	bool done;		/* @rc and @found are set */
	bool abandoned;		/* the thread frees the query */
	int rc;			/* of getaddrinfo() */
	struct addrinfo *found;
};

static int lookup(const struct uri *u, struct addrinfo **found)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };

	*found = NULL;
	return getaddrinfo(u->host, u->port, &hints, found);
}

static void query_free(struct query *q)
{
	if (q->found)
		freeaddrinfo(q->found);
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->answered);
	free(q);
}

static void *resolver_main(void *arg)
{
	struct query *q = arg;
	struct addrinfo *found;
	int rc = lookup(&q->uri, &found);
	bool abandoned;

	pthread_mutex_lock(&q->lock);
	q->rc = rc;
	q->found = found;
	q->done = true;
	abandoned = q->abandoned;
	pthread_cond_signal(&q->answered);
	pthread_mutex_unlock(&q->lock);
	if (abandoned)
		query_free(q);
	return NULL;
}

static struct query *query_start(const struct uri *u, struct error *err)
{
	struct query *q = calloc(1, sizeof(*q));
	pthread_t thread;
	int rc;

	if (!q) {
		error_set(err, ENOMEM, "out of memory for an address");
		return NULL;
	}
	q->uri = *u;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->answered, NULL);
	rc = pthread_create(&thread, NULL, resolver_main, q);
	if (rc) {
		error_set(err, rc, "cannot start the resolver thread: %s",
			  strerrordesc_np(rc));
		query_free(q);
		return NULL;
	}
	pthread_setname_np(thread, "resolver");
	pthread_detach(thread);
	return q;
}

/* Return: true if the query was answered; false: it was abandoned */
static bool query_wait(struct query *q, const struct socket_wait *w)
{
	bool done;

	pthread_mutex_lock(&q->lock);
	for (unsigned ms = 0; !q->done && ms < w->ms && !w->stop(w->ctx);
	     ms += LOOK_MS) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += LOOK_MS * 1000000;
		t.tv_sec += t.tv_nsec / 1000000000;
		t.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&q->answered, &q->lock, &t);
	}
	done = q->done;
	q->abandoned = !done;
	pthread_mutex_unlock(&q->lock);
	return done;
}

int resolve_tcp(struct socket_peer *p, const struct socket_wait *w,
		struct error *err)
{
	struct query *q = query_start(&p->uri, err);
	char text[URI_TEXT];
	int rc = 0;

	if (!q)
		return -err->code;
	uri_text(&p->uri, text);
	if (!query_wait(q, w))
		return w->stop(w->ctx)
			? error_set(err, ECANCELED, "cancelled")
			: error_set(err, ETIMEDOUT,
				"%s: the host name was not resolved in time",
				text);
	if (q->rc)
		rc = error_set(err, EHOSTUNREACH, "%s: %s", text,
			       gai_strerror(q->rc));
	for (struct addrinfo *a = q->found; a && p->n < SOCKET_ADDRESSES_MAX;
	     a = a->ai_next) {
		memcpy(&p->address[p->n], a->ai_addr, a->ai_addrlen);
		p->length[p->n++] = a->ai_addrlen;
	}
	query_free(q);
	return rc;
}
