/* SPDX-License-Identifier: MIT */
/* resolve.h - Addresses of a host name, by a wait that can be given up */
#ifndef FERRY_RESOLVE_H
#define FERRY_RESOLVE_H

#include <sys/socket.h>

#include "socket.h"

/**
 * resolve_tcp() - Find the addresses of @p->uri, a URI_TCP or URI_TLS with a host
 * @p:		gets @address, @length and @n
 * @w:		how long to wait
 * @err:	why not
 *
 * Return: 0, -EHOSTUNREACH, -ETIMEDOUT, -ECANCELED, -errno
 */
int resolve_tcp(struct socket_peer *p, const struct socket_wait *w,
		struct error *err);

#endif /* FERRY_RESOLVE_H */
