/* SPDX-License-Identifier: MIT */
/*
 * unix_listener.h - Accept and disconnect the clients of a Unix socket
 *
 * Main thread only.
 */
#ifndef FERRY_UNIX_LISTENER_H
#define FERRY_UNIX_LISTENER_H

#include "unix_socket.h"

struct bufferevent;
struct event;
struct evconnlistener;
struct loop;

/**
 * unix_accept_fn - Handles a new connection
 * @ctx:	the user's
 * @fd:		the connection, non-blocking; the function owns it
 */
typedef void unix_accept_fn(void *ctx, int fd);

/**
 * struct unix_listener - A socket at a path, and the handler of its clients
 * @path:	of the socket
 * @socket:	the socket; @listener owns its descriptor
 * @listener:	watches @socket
 * @again:	timer that enables @listener after accept(2) failed
 * @fn:		called for each connection
 * @ctx:	passed to @fn
 */
struct unix_listener {
	char *path;
	struct unix_socket socket;
	struct evconnlistener *listener;
	struct event *again;
	unix_accept_fn *fn;
	void *ctx;
};

/**
 * unix_listener_open() - Listen, and accept clients
 * @l:		zeroed; not to be moved until it is closed
 * @loop:	loop that accepts
 * @path:	as for unix_socket_open()
 * @fn:		called for each connection
 * @ctx:	passed to @fn
 * @err:	the cause of a failure
 *
 * Return: 0, or as unix_socket_open()
 */
int unix_listener_open(struct unix_listener *l, struct loop *loop,
		       const char *path, unix_accept_fn *fn, void *ctx,
		       struct error *err);

/**
 * unix_listener_close() - Stop listening, and remove the socket
 * @l:		the listener; nothing happens if it was never opened
 */
void unix_listener_close(struct unix_listener *l);

/**
 * unix_flush() - Write what a connection takes without blocking, and end it
 * @bev:	the connection; afterwards it may only be freed
 */
void unix_flush(struct bufferevent *bev);

#endif /* FERRY_UNIX_LISTENER_H */
