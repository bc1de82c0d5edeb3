// SPDX-License-Identifier: MIT
/* relay.c - A relay between the two sides that cuts at a message */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay.h"

#define PAIRS_MAX	2000

struct pair;

/* One direction of a connection, and its thread */
struct pipe_end {
	struct pair *pair;
	enum relay_from from;
	int in, out;
	pthread_t thread;
};

struct pair {
	struct relay *r;
	_Atomic int role;
	_Atomic bool shut;
	struct pipe_end way[2];
};

/**
 * struct relay - See relay.h
 * @lock:	protects @cut to @pairs
 * @seen:	messages that matched @cut
 */
struct relay {
	int listener;
	char there[108];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct relay_cut cut;
	unsigned seen, links;
	bool done, held, ending;
	struct pair *pair[PAIRS_MAX];
	size_t pairs;
};

static int unix_socket(const char *path, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(a->sun_path, sizeof(a->sun_path), "%s", path);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static bool read_all(int fd, uint8_t *to, size_t n)
{
	return !n || recv(fd, to, n, MSG_WAITALL) == (ssize_t)n;
}

static bool write_all(int fd, const uint8_t *from, size_t n)
{
	while (n) {
		ssize_t done = send(fd, from, n, MSG_NOSIGNAL);

		if (done <= 0)
			return false;
		from += done;
		n -= (size_t)done;
	}
	return true;
}

static void shut_pair(struct pair *p)
{
	p->shut = true;
	shutdown(p->way[0].in, SHUT_RDWR);
	shutdown(p->way[0].out, SHUT_RDWR);
}

static void shut_all(struct relay *r)
{
	for (size_t i = 0; i < r->pairs; i++)
		shut_pair(r->pair[i]);
}

/* Return: true if the message is the one to cut at. The caller has the lock */
static bool matches(struct relay *r, const struct pipe_end *e, unsigned type)
{
	const struct relay_cut *c = &r->cut;

	/* What is read of a connection that was cut counts no more */
	if (r->done || e->pair->shut || !c->nth || (c->type && c->type != type) ||
	    (c->from != FROM_EITHER && c->from != e->from) ||
	    (c->role != WIRE_ROLES && (int)c->role != e->pair->role))
		return false;
	return ++r->seen == c->nth;
}

static void cut_is_made(struct relay *r)
{
	if (r->cut.then) {
		r->cut = *r->cut.then;
		r->seen = 0;
		return;
	}
	r->done = true;
	pthread_cond_broadcast(&r->changed);
}

static void make_cut(struct relay *r, struct pipe_end *e, const uint8_t *msg,
		     size_t n)
{
	if (r->cut.after)
		write_all(e->out, msg, n);
	else if (r->cut.inside)
		write_all(e->out, msg, n / 2);
	if (r->cut.only)
		shut_pair(e->pair);
	else
		shut_all(r);
	cut_is_made(r);
}

/* A black hole does not tell that a side has closed its connection, either */
static void await_release(struct relay *r)
{
	pthread_mutex_lock(&r->lock);
	while (r->held && !r->ending)
		pthread_cond_wait(&r->changed, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

/* Return: false if the connection was cut instead of forwarding it */
static bool may_pass(struct pipe_end *e, unsigned type, uint8_t *msg, size_t n)
{
	struct relay *r = e->pair->r;
	bool cut;

	pthread_mutex_lock(&r->lock);
	cut = matches(r, e, type);
	if (cut && (r->cut.hold || r->cut.as)) {
		r->held |= r->cut.hold;
		if (r->cut.as)
			msg[4] = (uint8_t)r->cut.as;
		cut_is_made(r);
		cut = false;
	}
	while (r->held && !r->ending)
		pthread_cond_wait(&r->changed, &r->lock);
	if (cut)
		make_cut(r, e, msg, n);
	pthread_mutex_unlock(&r->lock);
	return !cut;
}

static void note_hello(struct pipe_end *e, const uint8_t *body)
{
	struct relay *r = e->pair->r;

	e->pair->role = body[10];
	pthread_mutex_lock(&r->lock);
	r->links += body[10] == WIRE_MAIN;
	pthread_mutex_unlock(&r->lock);
}

static void *forward(void *arg)
{
	struct pipe_end *e = arg;
	const size_t most = WIRE_HEADER + (1u << 20);
	uint8_t *msg = malloc(most);
	uint32_t length;

	while (read_all(e->in, msg, WIRE_HEADER)) {
		memcpy(&length, msg, sizeof(length));
		if (length > most - WIRE_HEADER ||
		    !read_all(e->in, msg + WIRE_HEADER, length))
			break;
		if (msg[4] == WIRE_MSG_HELLO)
			note_hello(e, msg + WIRE_HEADER);
		if (!may_pass(e, msg[4], msg, WIRE_HEADER + length) ||
		    !write_all(e->out, msg, WIRE_HEADER + length))
			break;
	}
	free(msg);
	await_release(e->pair->r);
	shut_pair(e->pair);
	return NULL;
}

static void begin_pair(struct relay *r, int here, int there)
{
	struct pair *p = calloc(1, sizeof(*p));

	p->r = r;
	p->role = -1;
	p->way[0] = (struct pipe_end){ p, FROM_SOURCE, here, there, 0 };
	p->way[1] = (struct pipe_end){ p, FROM_TARGET, there, here, 0 };
	pthread_mutex_lock(&r->lock);
	r->pair[r->pairs++] = p;
	if (r->ending)
		shut_pair(p);
	pthread_mutex_unlock(&r->lock);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&p->way[i].thread, NULL, forward, &p->way[i]);
}

static void *accept_all(void *arg)
{
	struct relay *r = arg;
	struct sockaddr_un a;
	int here;

	while ((here = accept(r->listener, NULL, NULL)) >= 0) {
		int there = unix_socket(r->there, &a);

		if (!connect(there, (struct sockaddr *)&a, sizeof(a))) {
			begin_pair(r, here, there);
			continue;
		}
		close(here);
		close(there);
	}
	return NULL;
}

struct relay *relay_new(const char *here, const char *there)
{
	struct relay *r = calloc(1, sizeof(*r));
	struct sockaddr_un a;

	strncpy(r->there, there, sizeof(r->there) - 1);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	r->listener = unix_socket(here, &a);
	if (bind(r->listener, (struct sockaddr *)&a, sizeof(a)) ||
	    listen(r->listener, 32))
		abort();
	pthread_create(&r->thread, NULL, accept_all, r);
	return r;
}

void relay_cut(struct relay *r, const struct relay_cut *c)
{
	pthread_mutex_lock(&r->lock);
	r->cut = *c;
	r->seen = 0;
	r->done = false;
	pthread_mutex_unlock(&r->lock);
}

bool relay_done(struct relay *r)
{
	bool done;

	pthread_mutex_lock(&r->lock);
	done = r->done;
	pthread_mutex_unlock(&r->lock);
	return done;
}

void relay_release(struct relay *r)
{
	pthread_mutex_lock(&r->lock);
	r->held = false;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

void relay_cut_all(struct relay *r)
{
	pthread_mutex_lock(&r->lock);
	shut_all(r);
	pthread_mutex_unlock(&r->lock);
}

unsigned relay_links(struct relay *r)
{
	unsigned n;

	pthread_mutex_lock(&r->lock);
	n = r->links;
	pthread_mutex_unlock(&r->lock);
	return n;
}

void relay_free(struct relay *r)
{
	pthread_mutex_lock(&r->lock);
	r->ending = true;
	r->held = false;
	pthread_cond_broadcast(&r->changed);
	shut_all(r);
	pthread_mutex_unlock(&r->lock);
	shutdown(r->listener, SHUT_RDWR);
	pthread_join(r->thread, NULL);
	relay_cut_all(r);
	for (size_t i = 0; i < r->pairs; i++) {
		struct pair *p = r->pair[i];

		pthread_join(p->way[0].thread, NULL);
		pthread_join(p->way[1].thread, NULL);
		close(p->way[0].in);
		close(p->way[0].out);
		free(p);
	}
	close(r->listener);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->changed);
	free(r);
}
