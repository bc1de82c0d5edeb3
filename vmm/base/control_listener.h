/* SPDX-License-Identifier: MIT */
/*
 * control_listener.h - How clients of a Unix socket come, and how they go
 *
 * Main thread only.
 */
#ifndef FERRY_CONTROL_LISTENER_H
#define FERRY_CONTROL_LISTENER_H

#include "control_socket.h"

struct bufferevent;
struct event;
struct evconnlistener;
struct loop;

/**
 * control_accept_fn - Somebody connected
 * @ctx:	the user's
 * @fd:		the connection, non-blocking, taken over
 */
typedef void control_accept_fn(void *ctx, int fd);

/**
 * struct control_listener - A socket at a path, and who is told of clients
 * @path:	of the socket
 * @socket:	it; its descriptor is @listener's
 * @listener:	watches it
 * @again:	timer: let clients in again
 * @fn, @ctx:	told of each
 */
struct control_listener {
	char *path;
	struct control_socket socket;
	struct evconnlistener *listener;
	struct event *again;
	control_accept_fn *fn;
	void *ctx;
};

/**
 * control_listener_open() - Begin to let clients in
 * @l:		zeroed; stays where it is until it is closed
 * @loop:	runs it
 * @path:	of the socket; what is there is treated as control_open() says
 * @fn:		told of each client
 * @ctx:	handed to @fn
 * @err:	why not
 *
 * Return: 0, or as control_socket_open()
 */
int control_listener_open(struct control_listener *l, struct loop *loop,
			  const char *path, control_accept_fn *fn, void *ctx,
			  struct error *err);

/** control_listener_close() - Remove the socket; fine if it was never open */
void control_listener_close(struct control_listener *l);

/**
 * control_flush() - Write what a connection takes without waiting, and end it
 * @bev:	the connection; only to be freed then
 */
void control_flush(struct bufferevent *bev);

#endif /* FERRY_CONTROL_LISTENER_H */
