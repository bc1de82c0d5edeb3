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
 * socket_listen() - Wait for connections
 * @u:		where
 * @err:	why not
 *
 * A Unix socket that no process listens at any more is replaced.
 *
 * Return: listening socket, non-blocking, or -errno
 */
int socket_listen(const struct uri *u, struct error *err);

/**
 * socket_accept() - Take a connection that waits
 * @c:		filled in
 * @listener:	from socket_listen()
 *
 * Return: 0, -EAGAIN (none waits), -EINVAL (the listener was shut), -errno
 */
int socket_accept(struct channel *c, int listener);

/**
 * socket_channel() - Make a connected socket a channel
 * @c:		filled in
 * @fd:		the socket; the channel closes it
 */
void socket_channel(struct channel *c, int fd);

#endif /* FERRY_SOCKET_H */
