/* SPDX-License-Identifier: MIT */
/*
 * socket.h - Channels over TCP and Unix sockets
 *
 * A host name is resolved once for each session: socket_resolve() gives all its
 * addresses, socket_connect() tries one after the other and remembers the one
 * that answered, and later connections of the same session use only that one.
 */
#ifndef FERRY_SOCKET_H
#define FERRY_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "channel.h"
#include "vmm/base/uri.h"

#define SOCKET_ADDRESSES_MAX	8

/**
 * struct socket_peer - Where a session's connections go
 * @uri:	as the user wrote it, for messages
 * @address, @length: the addresses; after a connection only the one that
 *		answered
 * @n:		how many
 */
struct socket_peer {
	struct uri uri;
	struct sockaddr_storage address[SOCKET_ADDRESSES_MAX];
	socklen_t length[SOCKET_ADDRESSES_MAX];
	unsigned n;
};

/**
 * socket_stop_fn - Shall a wait be given up?
 * @ctx:	the caller's
 *
 * Called every 100 ms at most.
 *
 * Return: true to give up
 */
typedef bool socket_stop_fn(void *ctx);

/**
 * struct socket_wait - How long to wait, and what ends it
 * @ms:		limit, ms
 * @stop:	asked now and then
 * @ctx:	for @stop
 */
struct socket_wait {
	unsigned ms;
	socket_stop_fn *stop;
	void *ctx;
};

/**
 * socket_resolve() - Find the addresses of a URI
 * @p:		filled in
 * @u:		where to
 * @w:		how long to wait
 * @err:	why not
 *
 * getaddrinfo() can't be cancelled: a thread calls it, and is abandoned when
 * the wait ends first (it then frees what it has).
 *
 * Return: 0, -EHOSTUNREACH, -ETIMEDOUT, -ECANCELED, -errno
 */
int socket_resolve(struct socket_peer *p, const struct uri *u,
		   const struct socket_wait *w, struct error *err);

/**
 * socket_connect() - Connect
 * @c:		filled in, not watched; its limit of silence is @w->ms
 * @p:		where to
 * @w:		how long to wait for each address
 * @err:	why not
 *
 * Return: 0, -ECANCELED, -ETIMEDOUT, -errno
 */
int socket_connect(struct channel *c, struct socket_peer *p,
		   const struct socket_wait *w, struct error *err);

/**
 * socket_channel() - Make a connected socket a channel
 * @c:		filled in
 * @fd:		the socket; the channel closes it
 */
void socket_channel(struct channel *c, int fd);

/**
 * socket_set_dead_peer() - Notice a peer that vanishes without a word
 * @c:		over a socket; nothing happens if that is not TCP
 * @ms:		how long its host may leave bytes or a probe unanswered, ms; 0
 *		to wait as long as the kernel does by default
 *
 * By TCP_USER_TIMEOUT, for bytes that are not acknowledged, and keepalive, for
 * a connection without traffic; probes come every second at most, so with less
 * than 2000 ms an idle connection ends after up to 2 s. Waits then end with
 * -ETIMEDOUT, or with the kernel's reason, e.g. -EHOSTUNREACH. A host that is
 * there, and whose process reads nothing for that time while its window is
 * closed, counts as dead, too (Linux: tcp_probe_timer()).
 */
void socket_set_dead_peer(const struct channel *c, unsigned ms);

#endif /* FERRY_SOCKET_H */
