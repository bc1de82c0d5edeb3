// SPDX-License-Identifier: MIT
/* memory_channel.c - A channel in memory, with faults */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "memory_channel.h"

/* Bytes in one direction */
struct pipe {
	uint8_t data[MEMORY_CHANNEL_BYTES];
	size_t have;
	bool ended;
};

struct pair {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct memory_faults *faults;
	struct pipe pipe[2];
	unsigned ends;
};

struct end {
	struct pair *p;
	struct pipe *in, *out;
	int other_fd;		/* eventfd of the other end */
	unsigned ms;
};

static void set_readable(int fd, bool readable)
{
	uint64_t one = 1, n;

	if (readable)
		(void)!write(fd, &one, sizeof(one));
	else
		(void)!read(fd, &n, sizeof(n));
}

/* Count an operation. Return: 0, -EPIPE if this one cuts, or one has */
static int operate(struct pair *p)
{
	if (++p->faults->operations == p->faults->cut_at)
		p->pipe[0].ended = p->pipe[1].ended = true;
	return p->pipe[0].ended && p->pipe[1].ended ? -EPIPE : 0;
}

static int wait_changed(struct end *e)
{
	struct timespec t;

	if (!e->ms)
		return pthread_cond_wait(&e->p->changed, &e->p->lock);
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += e->ms * 1000000l;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return -pthread_cond_timedwait(&e->p->changed, &e->p->lock, &t);
}

static ssize_t take(struct channel *c, void *data, size_t n)
{
	struct end *e = c->ctx;

	if (e->p->faults->most && n > e->p->faults->most)
		n = e->p->faults->most;
	if (n > e->in->have)
		n = e->in->have;
	memcpy(data, e->in->data, n);
	e->in->have -= n;
	memmove(e->in->data, e->in->data + n, e->in->have);
	if (!e->in->have && !e->in->ended)
		set_readable(c->fd, false);
	pthread_cond_broadcast(&e->p->changed);
	return (ssize_t)n;
}

static ssize_t memory_recv(struct channel *c, void *data, size_t max,
			   bool wait)
{
	struct end *e = c->ctx;
	ssize_t n;

	pthread_mutex_lock(&e->p->lock);
	n = operate(e->p);
	while (!n && !e->in->have && !e->in->ended && wait)
		n = wait_changed(e);
	if (!n && e->in->have)
		n = take(c, data, max);
	else if (!n && e->in->ended)
		n = -EPIPE;
	pthread_mutex_unlock(&e->p->lock);
	return n;
}

static ssize_t memory_sendv(struct channel *c, const struct iovec *iov,
			    size_t n, bool wait)
{
	struct end *e = c->ctx;
	size_t most = e->p->faults->most, done = 0;
	ssize_t rc;

	pthread_mutex_lock(&e->p->lock);
	rc = operate(e->p);
	while (!rc && e->out->have == MEMORY_CHANNEL_BYTES && !e->out->ended &&
	       wait)
		rc = wait_changed(e);
	if (!rc && e->out->ended)
		rc = -EPIPE;
	for (size_t i = 0; !rc && i < n; i++) {
		size_t k = iov[i].iov_len;

		if (k > MEMORY_CHANNEL_BYTES - e->out->have)
			k = MEMORY_CHANNEL_BYTES - e->out->have;
		if (most && k > most - done)
			k = most - done;
		memcpy(e->out->data + e->out->have, iov[i].iov_base, k);
		e->out->have += k;
		done += k;
	}
	if (done && !e->p->faults->hide)
		set_readable(e->other_fd, true);
	pthread_cond_broadcast(&e->p->changed);
	pthread_mutex_unlock(&e->p->lock);
	return rc ? rc : (ssize_t)done;
}

static bool memory_pending(const struct channel *c)
{
	struct end *e = c->ctx;
	bool pending;

	pthread_mutex_lock(&e->p->lock);
	pending = e->in->have;
	pthread_mutex_unlock(&e->p->lock);
	return pending;
}

static bool memory_ended(const struct channel *c)
{
	struct end *e = c->ctx;
	bool ended;

	pthread_mutex_lock(&e->p->lock);
	ended = e->in->ended;
	pthread_mutex_unlock(&e->p->lock);
	return ended;
}

static void memory_timeout(struct channel *c, unsigned ms)
{
	struct end *e = c->ctx;

	e->ms = ms;
}

static void end_pipe(struct end *e, struct pipe *p, int fd)
{
	pthread_mutex_lock(&e->p->lock);
	p->ended = true;
	set_readable(fd, true);
	pthread_cond_broadcast(&e->p->changed);
	pthread_mutex_unlock(&e->p->lock);
}

static void memory_shut_in(struct channel *c)
{
	struct end *e = c->ctx;

	end_pipe(e, e->in, c->fd);
}

static void memory_shut(struct channel *c)
{
	struct end *e = c->ctx;

	end_pipe(e, e->in, c->fd);
	end_pipe(e, e->out, e->other_fd);
}

static void memory_close(struct channel *c)
{
	struct end *e = c->ctx;
	struct pair *p = e->p;

	memory_shut(c);
	close(c->fd);
	free(e);
	if (--p->ends)
		return;
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
	free(p);
}

static const struct channel_ops memory_ops = {
	.recv		= memory_recv,
	.sendv		= memory_sendv,
	.pending	= memory_pending,
	.ended		= memory_ended,
	.timeout	= memory_timeout,
	.shut_in	= memory_shut_in,
	.shut		= memory_shut,
	.close		= memory_close,
};

void memory_channel_pair(struct channel *a, struct channel *b,
			 struct memory_faults *faults)
{
	struct pair *p = calloc(1, sizeof(*p));
	struct end *ea = calloc(1, sizeof(*ea)), *eb = calloc(1, sizeof(*eb));

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	p->faults = faults;
	p->ends = 2;
	*a = (struct channel){ .ops = &memory_ops, .ctx = ea };
	*b = (struct channel){ .ops = &memory_ops, .ctx = eb };
	a->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*ea = (struct end){ .p = p, .in = &p->pipe[0], .out = &p->pipe[1],
			    .other_fd = b->fd };
	*eb = (struct end){ .p = p, .in = &p->pipe[1], .out = &p->pipe[0],
			    .other_fd = a->fd };
}
