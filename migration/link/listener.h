/* SPDX-License-Identifier: MIT */
/*
 * listener.h - The sockets that a destination listens at
 *
 * A host name may have addresses of both families, and each one gets a socket:
 * "localhost" is 127.0.0.1 and ::1. "tcp::PORT" is one IPv6 socket that
 * receives IPv4, too, or an IPv4 socket where the kernel has no IPv6.
 */
#ifndef FERRY_LISTENER_H
#define FERRY_LISTENER_H

#include <sys/types.h>

#include "socket.h"

/**
 * struct listener - See above
 * @uri:	where
 * @fd:		@n listening sockets, non-blocking
 * @dev, @ino:	identify the name of a Unix socket, which another process may
 *		replace
 */
struct listener {
	struct uri uri;
	int fd[SOCKET_ADDRESSES_MAX];
	unsigned n;
	dev_t dev;
	ino_t ino;
};

/**
 * listener_open() - Listen
 * @l:		filled in; nothing is open after a failure
 * @u:		where. A Unix socket that no process listens at is replaced
 * @stop:	asked now and then while the name service is waited for; NULL:
 *		that wait is not given up
 * @ctx:	for @stop
 * @err:	the cause of a failure, with the address
 *
 * Waits for the name service, 5 s at most. An address that this host does not
 * have is skipped if another one of the name can be listened at.
 *
 * Return: 0, -EADDRINUSE, -EHOSTUNREACH (unknown name), -ETIMEDOUT, -ECANCELED,
 *	   -errno
 */
int listener_open(struct listener *l, const struct uri *u,
		  socket_stop_fn *stop, void *ctx, struct error *err);

/**
 * listener_accept() - Take a connection that waits
 * @l:		open
 * @c:		filled in
 *
 * Return: 0, -EAGAIN (none waits), -errno (accept(2)'s)
 */
int listener_accept(const struct listener *l, struct channel *c);

/** listener_is_reachable() - Is one of the addresses not this host's own? */
bool listener_is_reachable(const struct listener *l);

/**
 * listener_close() - Stop listening
 * @l:		the listener
 *
 * Removes the name of a Unix socket, if it is still this socket's.
 */
void listener_close(struct listener *l);

#endif /* FERRY_LISTENER_H */
