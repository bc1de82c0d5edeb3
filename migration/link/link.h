/* SPDX-License-Identifier: MIT */
/*
 * link.h - The connections of one epoch of a session
 *
 * A link is one main, one demand and some push connections to one peer. It is
 * disposable: when it fails it is shut and closed, and a session that goes on
 * opens another one (the next epoch) with the same peer. So nothing here knows
 * phases, pages or the machine.
 *
 * Threads use the channels without a lock. Another thread ends their waits by
 * link_hang_up() or link_shut(), which also hold for connections that are
 * opened later: a connection that is added to a link that was shut is shut at
 * once, and an attempt to connect ends. Only the owner closes, after the
 * threads have ended.
 */
#ifndef FERRY_LINK_H
#define FERRY_LINK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "channel.h"
#include "socket.h"
#include "tls.h"

/* LINK_HUNG_UP: only sending on main is possible; LINK_SHUT: nothing is */
enum link_state { LINK_OPEN, LINK_HUNG_UP, LINK_SHUT };

/**
 * struct link - See above
 * @lock:	protects which channels are open, against link_shut()
 * @state:	enum link_state
 * @epoch:	counts the links of a session, from 1; the source decides it
 * @dead_peer_ms: for socket_set_dead_peer() of each connection
 * @peer:	where a source connects to
 * @tls:	for tls: URIs: set by the owner before link_resolve(); no change
 *		later
 * @credentials: on a source with a tls: URI, from link_resolve() on
 * @main:	control messages: the stages of the session
 * @demand:	requests, and their answers
 * @push:	@pushes of them: pages that were not requested. A destination's
 *		listener reads @pushes while the session thread ends a link
 * @counts:	of each connection, by link_count(): set by the owner before
 *		link_begin(); NULL, also after link_uncount(): none is counted
 */
struct link {
	pthread_mutex_t lock;
	_Atomic int state;
	uint32_t epoch;
	unsigned dead_peer_ms;
	struct socket_peer peer;
	struct tls_config tls;
	struct tls *credentials;
	struct channel main, demand;
	struct channel push[WIRE_PUSH_MAX];
	_Atomic unsigned pushes;
	struct channel_count *counts;
};

/* Connections that a link may have */
#define LINK_CONNECTIONS	(2 + WIRE_PUSH_MAX)

/** link_count() - Index of a connection in @counts */
static inline unsigned link_count(enum wire_role role, unsigned i)
{
	return role == WIRE_MAIN ? 0 : role == WIRE_DEMAND ? 1 : 2 + i;
}

/** link_uncount() - The bytes of connections to come are not counted */
void link_uncount(struct link *l);

/** link_init() - A link without connections, in no epoch */
void link_init(struct link *l);

/** link_fini() - Close and free it */
void link_fini(struct link *l);

/**
 * link_begin() - Begin an epoch
 * @l:		the link, with no connection open
 * @epoch:	its number, which all its connections must name
 * @dead_peer_ms: longest silence of the peer's host on a connection that
 *		expects an answer, ms; 0 for no limit (socket_set_dead_peer())
 *
 * Connections can be opened from now on, unless link_shut() comes.
 */
void link_begin(struct link *l, uint32_t epoch, unsigned dead_peer_ms);

/**
 * link_resolve() - Find out where to connect to
 * @l:		the link
 * @u:		where to
 * @ms:		how long to wait for the name service, ms
 * @err:	why not
 *
 * For a tls: URI the certificates are read, too.
 *
 * Return: as socket_resolve(); -EACCES (TLS is required), -errno (a file)
 */
int link_resolve(struct link *l, const struct uri *u, unsigned ms,
		 struct error *err);

/**
 * link_channel() - One of the connections
 * @l:		the link
 * @role:	which kind
 * @i:		which of the push connections; 0 for the others
 *
 * Return: the channel; it may not be open
 */
struct channel *link_channel(struct link *l, enum wire_role role, unsigned i);

/**
 * link_connect() - Open a connection to the peer
 * @l:		the link, resolved
 * @role, @i:	as link_channel()
 * @ms:		how long to wait, and the channel's first limit of silence, ms
 * @err:	why not
 *
 * Return: 0, -ECANCELED (the link was shut), as socket_connect(),
 *	   tls_connect()
 */
int link_connect(struct link *l, enum wire_role role, unsigned i, unsigned ms,
		 struct error *err);

/**
 * link_put() - Add a connection that the peer opened
 * @l:		the link
 * @role, @i:	as link_channel()
 * @c:		the connection; the link owns it unless this fails
 *
 * Return: 0, -EEXIST (that one is open already), -ECANCELED (the link was shut)
 */
int link_put(struct link *l, enum wire_role role, unsigned i,
	     const struct channel *c);

/** link_has() - Is that connection open? As link_channel() */
bool link_has(struct link *l, enum wire_role role, unsigned i);

/**
 * link_same_peer() - Does a connection come from the peer of the link?
 * @l:		the link
 * @c:		a connection that the peer opened
 *
 * Any thread.
 *
 * Return: true if both have proved to be the same by TLS, or neither uses it;
 *	   false also if main is not open
 */
bool link_same_peer(struct link *l, const struct channel *c);

/** link_ended() - Has the peer closed main, or is main not open? Any thread */
bool link_ended(struct link *l);

/**
 * link_hang_up() - End all waits, but leave sending on main possible
 * @l:		the link
 * @ms:		for how long, ms
 *
 * For a last REFUSE. Any thread.
 */
void link_hang_up(struct link *l, unsigned ms);

/** link_shut() - End all waits, now and later; any thread */
void link_shut(struct link *l);

/** link_close() - Close all connections, which no thread uses any more */
void link_close(struct link *l);

/** link_push_alive() - Is no push connection closed by the peer? */
bool link_push_alive(struct link *l);

#endif /* FERRY_LINK_H */
