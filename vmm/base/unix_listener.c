// SPDX-License-Identifier: MIT
/* unix_listener.c - Accept and disconnect the clients of a Unix socket */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "log.h"
#include "loop.h"
#include "unix_listener.h"

/* Time without accept(2) after it failed, e.g. for lack of descriptors */
static const struct timeval accept_pause = { .tv_sec = 1 };

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd,
		      struct sockaddr *sa, int len, void *arg)
{
	struct unix_listener *l = arg;

	(void)listener;
	(void)sa;
	(void)len;
	l->fn(l->ctx, fd);
}

static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct unix_listener *l = arg;

	log_line("cannot accept a client at %s: %m", l->path);
	evconnlistener_disable(listener);
	evtimer_add(l->again, &accept_pause);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct unix_listener *l = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(l->listener);
}

/* Watch l->socket, or close it */
static int listener_watch(struct unix_listener *l, struct loop *loop,
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
	unix_socket_unlink(&l->socket, l->path);
	evutil_closesocket(l->socket.fd);
	return error_set(err, ENOMEM, "libevent cannot watch %s", l->path);
}

int unix_listener_open(struct unix_listener *l, struct loop *loop,
		       const char *path, unix_accept_fn *fn, void *ctx,
		       struct error *err)
{
	int rc;

	*l = (struct unix_listener){ .path = strdup(path), .fn = fn,
				     .ctx = ctx };
	rc = l->path ? unix_socket_open(&l->socket, path, err)
		     : error_set(err, ENOMEM, "out of memory for a socket");
	if (!rc)
		rc = listener_watch(l, loop, err);
	if (rc) {
		free(l->path);
		*l = (struct unix_listener){ 0 };
	}
	return rc;
}

void unix_listener_close(struct unix_listener *l)
{
	if (!l->listener)
		return;
	unix_socket_unlink(&l->socket, l->path);
	evconnlistener_free(l->listener);
	event_free(l->again);
	free(l->path);
	*l = (struct unix_listener){ 0 };
}

void unix_flush(struct bufferevent *bev)
{
	struct evbuffer *out = bufferevent_get_output(bev);

	bufferevent_disable(bev, EV_READ | EV_WRITE);
	/* A bufferevent freezes its output buffer against other writers */
	evbuffer_unfreeze(out, 1);
	while (evbuffer_get_length(out) &&
	       evbuffer_write(out, bufferevent_getfd(bev)) > 0)
		;
	/* libevent closes it only when the base runs again, or is freed */
	shutdown(bufferevent_getfd(bev), SHUT_RDWR);
}
