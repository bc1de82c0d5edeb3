// SPDX-License-Identifier: MIT
/* link.c - The connections of one epoch of a session */

#include <errno.h>
#include <string.h>

#include "channel_tls.h"
#include "link.h"

void link_init(struct link *l)
{
	*l = (struct link){ .state = LINK_SHUT };
	l->main.fd = l->demand.fd = -1;
	for (unsigned i = 0; i < WIRE_PUSH_MAX; i++)
		l->push[i].fd = -1;
	pthread_mutex_init(&l->lock, NULL);
}

void link_fini(struct link *l)
{
	link_close(l);
	tls_unref(l->credentials);
	pthread_mutex_destroy(&l->lock);
}

void link_begin(struct link *l, uint32_t epoch, unsigned dead_peer_ms)
{
	pthread_mutex_lock(&l->lock);
	l->state = LINK_OPEN;
	l->epoch = epoch;
	l->dead_peer_ms = dead_peer_ms;
	pthread_mutex_unlock(&l->lock);
}

static bool link_stopped(void *ctx)
{
	struct link *l = ctx;

	return l->state != LINK_OPEN;
}

int link_resolve(struct link *l, const struct uri *u, unsigned ms,
		 struct error *err)
{
	const struct socket_wait w = { .ms = ms, .stop = link_stopped,
				       .ctx = l };

	if (l->tls.required && u->kind == URI_TCP)
		return error_set(err, EACCES,
			"TLS is required here (--require-tls): use tls:%s:%s",
			u->host, u->port);
	tls_unref(l->credentials);
	l->credentials = NULL;
	if (u->kind == URI_TLS) {
		l->credentials = tls_load(&l->tls, TLS_SOURCE, err);
		if (!l->credentials)
			return -err->code;
	}
	return socket_resolve(&l->peer, u, &w, err);
}

struct channel *link_channel(struct link *l, enum wire_role role, unsigned i)
{
	switch (role) {
	case WIRE_MAIN:
		return &l->main;
	case WIRE_DEMAND:
		return &l->demand;
	default:
		return &l->push[i];
	}
}

/* Whom the destination's certificate must name */
static const char *link_host(const struct link *l)
{
	return l->tls.hostname[0] ? l->tls.hostname : l->peer.uri.host;
}

int link_connect(struct link *l, enum wire_role role, unsigned i, unsigned ms,
		 struct error *err)
{
	const struct socket_wait w = { .ms = ms, .stop = link_stopped,
				       .ctx = l };
	struct channel c;
	int rc = socket_connect(&c, &l->peer, &w, err);

	if (rc)
		return rc;
	if (l->credentials)
		rc = tls_connect(&c, l->credentials, link_host(l), &w, err);
	if (!rc) {
		rc = link_put(l, role, i, &c);
		if (rc)
			error_set(err, -rc, "cancelled");
	}
	if (rc)
		channel_close(&c);
	return rc;
}

int link_put(struct link *l, enum wire_role role, unsigned i,
	     const struct channel *c)
{
	struct channel *to = link_channel(l, role, i);
	int rc = 0;

	pthread_mutex_lock(&l->lock);
	if (l->state != LINK_OPEN)
		rc = -ECANCELED;
	else if (channel_is_open(to))
		rc = -EEXIST;
	else
		*to = *c;
	if (!rc)
		socket_set_dead_peer(to, l->dead_peer_ms);
	/* Its deadline may change while a thread waits */
	if (!rc && role == WIRE_MAIN)
		to->watched = true;
	if (!rc && l->counts)
		to->count = &l->counts[link_count(role, i)];
	pthread_mutex_unlock(&l->lock);
	return rc;
}

void link_uncount(struct link *l)
{
	pthread_mutex_lock(&l->lock);
	l->counts = NULL;
	pthread_mutex_unlock(&l->lock);
}

bool link_has(struct link *l, enum wire_role role, unsigned i)
{
	bool has;

	pthread_mutex_lock(&l->lock);
	has = channel_is_open(link_channel(l, role, i));
	pthread_mutex_unlock(&l->lock);
	return has;
}

bool link_same_peer(struct link *l, const struct channel *c)
{
	uint8_t mine[CHANNEL_BINDING] = { 0 }, theirs[CHANNEL_BINDING];
	bool open;

	channel_peer(c, theirs);
	pthread_mutex_lock(&l->lock);
	open = channel_is_open(&l->main);
	if (open)
		channel_peer(&l->main, mine);
	pthread_mutex_unlock(&l->lock);
	return open && !memcmp(mine, theirs, CHANNEL_BINDING);
}

bool link_ended(struct link *l)
{
	bool ended;

	pthread_mutex_lock(&l->lock);
	ended = channel_ended(&l->main);
	pthread_mutex_unlock(&l->lock);
	return ended;
}

static void shut_others(struct link *l)
{
	channel_shut(&l->demand);
	for (unsigned i = 0; i < WIRE_PUSH_MAX; i++)
		channel_shut(&l->push[i]);
}

void link_hang_up(struct link *l, unsigned ms)
{
	pthread_mutex_lock(&l->lock);
	if (l->state == LINK_OPEN) {
		l->state = LINK_HUNG_UP;
		channel_set_end(&l->main,
				ns_after(ms));
		channel_shut_in(&l->main);
		shut_others(l);
	}
	pthread_mutex_unlock(&l->lock);
}

void link_shut(struct link *l)
{
	pthread_mutex_lock(&l->lock);
	l->state = LINK_SHUT;
	channel_shut(&l->main);
	shut_others(l);
	pthread_mutex_unlock(&l->lock);
}

void link_close(struct link *l)
{
	pthread_mutex_lock(&l->lock);
	l->state = LINK_SHUT;
	channel_close(&l->main);
	channel_close(&l->demand);
	for (unsigned i = 0; i < WIRE_PUSH_MAX; i++)
		channel_close(&l->push[i]);
	l->pushes = 0;
	pthread_mutex_unlock(&l->lock);
}

bool link_push_alive(struct link *l)
{
	for (unsigned i = 0; i < l->pushes; i++)
		if (channel_ended(&l->push[i]))
			return false;
	return true;
}
