// SPDX-License-Identifier: MIT
/* control_listener.c - How clients of a Unix socket come, and how they go */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "control_listener.h"
#include "log.h"
#include "loop.h"

/* How long nobody is let in after accept(2) failed, e.g. for descriptors */
static const struct timeval accept_pause = { .tv_sec = 1 };

/**
 * on_accept() - Somebody connected
 * @listener:	the socket
 * @fd:		the connection
 * @sa:		the peer's address, of no interest
 * @len:	of it
 * @arg:	struct control_listener
 */
static void on_accept(struct evconnlistener *listener, evutil_socket_t fd,
		      struct sockaddr *sa, int len, void *arg)
{
	struct control_listener *l = arg;

	(void)listener;
	(void)sa;
	(void)len;
	l->fn(l->ctx, fd);
}

/**
 * on_accept_error() - accept(2) failed: pause, or it fails again at once
 * @listener:	the socket
 * @arg:	struct control_listener
 */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct control_listener *l = arg;

	log_line("cannot accept a client at %s: %m", l->path);
	evconnlistener_disable(listener);
	evtimer_add(l->again, &accept_pause);
}

/**
 * on_again() - The pause is over
 * @fd:		-1
 * @what:	EV_TIMEOUT
 * @arg:	struct control_listener
 */
static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct control_listener *l = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(l->listener);
}

/**
 * watch() - Have the loop watch the socket
 * @l:		its @path and @socket are there
 * @loop:	the loop
 * @err:	why not
 *
 * Return: 0, or -ENOMEM with the socket closed
 */
static int watch(struct control_listener *l, struct loop *loop,
		 struct error *err)
{
	struct event_base *base = loop_base(loop);

	l->again = evtimer_new(base, on_again, l);
	if (l->again)
		l->listener = evconnlistener_new(base, on_accept, l,
				LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
				0, l->socket.fd);
	if (l->listener) {
		evconnlistener_set_error_cb(l->listener, on_accept_error);
		return 0;
	}
	if (l->again)
		event_free(l->again);
	control_socket_unlink(&l->socket, l->path);
	evutil_closesocket(l->socket.fd);
	return error_set(err, ENOMEM, "libevent cannot watch %s", l->path);
}

int control_listener_open(struct control_listener *l, struct loop *loop,
			  const char *path, control_accept_fn *fn, void *ctx,
			  struct error *err)
{
	int rc;

	*l = (struct control_listener){ .path = strdup(path), .fn = fn,
					.ctx = ctx };
	rc = l->path ? control_socket_open(&l->socket, path, err)
		     : error_set(err, ENOMEM, "no memory for a socket");
	if (!rc)
		rc = watch(l, loop, err);
	if (rc) {
		free(l->path);
		*l = (struct control_listener){ 0 };
	}
	return rc;
}

void control_listener_close(struct control_listener *l)
{
	if (!l->listener)
		return;
	control_socket_unlink(&l->socket, l->path);
	evconnlistener_free(l->listener);
	event_free(l->again);
	free(l->path);
	*l = (struct control_listener){ 0 };
}

void control_flush(struct bufferevent *bev)
{
	struct evbuffer *out = bufferevent_get_output(bev);

	bufferevent_disable(bev, EV_READ | EV_WRITE);
	/* A bufferevent keeps its output from being taken by others */
	evbuffer_unfreeze(out, 1);
	while (evbuffer_get_length(out) &&
	       evbuffer_write(out, bufferevent_getfd(bev)) > 0)
		;
	/* libevent closes it only when the base runs again, or is freed */
	shutdown(bufferevent_getfd(bev), SHUT_RDWR);
}
