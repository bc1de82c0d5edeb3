// SPDX-License-Identifier: MIT
/* web_console.c - The serial port of a machine, by its console socket */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "web_console.h"
#include "web_text.h"

#define OUTPUT_AT_ONCE	4096	/* bytes of one message */
#define OUTPUT_MAX	65536	/* that waits to be shown */
#define INPUT_MAX	65536	/* that the guest has not read */

/* A guest prints byte by byte: what it prints within this time is one message */
static const struct timeval moment = { .tv_usec = 50000 };

struct web_console {
	struct bufferevent *bev;
	struct event *later;
	web_console_fn *fn;
	void *ctx;
};

static void on_output(struct bufferevent *bev, void *ctx)
{
	struct web_console *c = ctx;

	(void)bev;
	if (!event_pending(c->later, EV_TIMEOUT, NULL))
		event_add(c->later, &moment);
}

static void on_later(evutil_socket_t fd, short what, void *ctx)
{
	struct web_console *c = ctx;
	char bytes[OUTPUT_AT_ONCE], text[WEB_TEXT_SIZE(OUTPUT_AT_ONCE)];
	size_t n;

	(void)fd;
	(void)what;
	while ((n = bufferevent_read(c->bev, bytes, sizeof(bytes)))) {
		web_text(text, bytes, n);
		c->fn(c->ctx, text);
	}
}

/* The guest has left, or the machine has ended; its owner closes */
static void on_end(struct bufferevent *bev, short what, void *ctx)
{
	(void)ctx;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		bufferevent_disable(bev, EV_READ | EV_WRITE);
}

struct web_console *web_console_open(struct event_base *base,
				     const char *path, web_console_fn *fn,
				     void *ctx)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct web_console *c = calloc(1, sizeof(*c));
	int fd;

	if (!c || strlen(path) >= sizeof(sa.sun_path)) {
		free(c);
		return NULL;
	}
	strcpy(sa.sun_path, path);
	c->fn = fn;
	c->ctx = ctx;
	/* web_demo.c's programs would inherit one that libevent creates */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		c->bev = bufferevent_socket_new(base, fd,
						BEV_OPT_CLOSE_ON_FREE);
	if (fd >= 0 && !c->bev)
		close(fd);
	c->later = event_new(base, -1, 0, on_later, c);
	if (c->bev && c->later) {
		bufferevent_setwatermark(c->bev, EV_READ, 0, OUTPUT_MAX);
		bufferevent_setcb(c->bev, on_output, NULL, on_end, c);
		bufferevent_enable(c->bev, EV_READ | EV_WRITE);
		if (!bufferevent_socket_connect(c->bev, (struct sockaddr *)&sa,
						sizeof(sa)))
			return c;
	}
	web_console_close(c);
	return NULL;
}

int web_console_type(struct web_console *c, const char *text, size_t len)
{
	if (!c || !(bufferevent_get_enabled(c->bev) & EV_WRITE))
		return -ENOTCONN;
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) + len >
	    INPUT_MAX)
		return -ENOBUFS;
	return bufferevent_write(c->bev, text, len) ? -ENOBUFS : 0;
}

void web_console_close(struct web_console *c)
{
	if (c && c->bev)
		bufferevent_free(c->bev);
	if (c && c->later)
		event_free(c->later);
	free(c);
}
