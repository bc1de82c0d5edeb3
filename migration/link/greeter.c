// SPDX-License-Identifier: MIT
/* greeter.c - The listener of a destination, and connections that say HELLO */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "greeter.h"
#include "socket.h"
#include "vmm/base/log.h"

#define HELLO_BYTES	(WIRE_HEADER + WIRE_HELLO)
#define POLL_LISTENER	0
#define POLL_WAKE	1
#define POLL_FIRST	2	/* of the greetings */
#define POLLS		(POLL_FIRST + GREETINGS_MAX)
#define RETRY_MS	100	/* after accept() failed: descriptors, memory */
#define OWNER_MS	20	/* until the owner is asked again */
#define LOG_NS		1000000000ull	/* one line a second about refusals */

/* A connection that has not said HELLO yet */
struct greeting {
	struct channel c;
	uint64_t end;		/* deadline, ns */
	bool waits;		/* HELLO is complete; the owner is not ready */
	size_t have;		/* bytes in @in */
	uint8_t in[HELLO_BYTES];
};

struct greeter {
	struct uri uri;
	int listener, wake;
	const _Atomic unsigned *hello_ms;
	greeter_fn *fn;
	void *ctx;
	pthread_t thread;
	_Atomic bool stop;
	struct greeting greeting[GREETINGS_MAX];
	uint64_t logged;	/* when a refusal was logged last, ns */
	unsigned unlogged;	/* refusals since */
};

static void greeting_close(struct greeting *gr)
{
	channel_close(&gr->c);
	gr->have = 0;
	gr->waits = false;
}

/* Port scanners connect often: the log gets one line a second at most */
static void log_refused(struct greeter *g, const struct error *why)
{
	uint64_t now = channel_now_ns();

	if (g->logged && now - g->logged < LOG_NS) {
		g->unlogged++;
		return;
	}
	if (g->unlogged)
		log_line("connection refused: %s (and %u more before it)",
			 why->text, g->unlogged);
	else
		log_line("connection refused: %s", why->text);
	g->logged = now;
	g->unlogged = 0;
}

/* REFUSE fits the empty buffer of a fresh socket, so this does not wait */
static void greeting_refuse(struct greeter *g, struct greeting *gr,
			    const struct error *why)
{
	struct wire_msg m = {
		.type = WIRE_MSG_REFUSE,
		.length = (uint32_t)strnlen(why->text, WIRE_TEXT_MAX),
	};
	uint8_t out[WIRE_HEADER + WIRE_TEXT_MAX];

	wire_put(out, &m);
	memcpy(out + WIRE_HEADER, why->text, m.length);
	channel_send_some(&gr->c, out, WIRE_HEADER + m.length, NULL);
	log_refused(g, why);
	greeting_close(gr);
}

static struct greeting *greeting_place(struct greeter *g)
{
	struct greeting *oldest = g->greeting;

	for (unsigned i = 0; i < GREETINGS_MAX; i++) {
		struct greeting *gr = &g->greeting[i];

		if (!channel_is_open(&gr->c))
			return gr;
		if (gr->end < oldest->end)
			oldest = gr;
	}
	greeting_close(oldest);
	return oldest;
}

/* Return: false if accept() can't go on at the moment */
static bool accept_all(struct greeter *g)
{
	struct channel c;
	int rc;

	while (!(rc = socket_accept(&c, g->listener))) {
		struct greeting *gr = greeting_place(g);

		*gr = (struct greeting){ .c = c };
		gr->end = channel_now_ns() + *g->hello_ms * 1000000ull;
	}
	if (rc != -EAGAIN && rc != -ECONNABORTED && !g->stop)
		log_line("accept: %s", strerrordesc_np(-rc));
	return rc == -EAGAIN || rc == -ECONNABORTED;
}

static int parse_hello(const struct greeting *gr, struct wire_hello *h,
		       struct error *err)
{
	struct wire_msg m;
	int rc = wire_get(gr->in, &m, err);

	if (!rc && m.type != WIRE_MSG_HELLO)
		rc = error_set(err, EBADMSG,
			"the peer sent %s where HELLO belongs",
			wire_name(m.type));
	/* A HELLO of another version may be shorter, or longer */
	if (!rc && gr->have < HELLO_BYTES && gr->have < WIRE_HEADER + m.length)
		return -EAGAIN;
	if (!rc)
		rc = wire_get_hello(gr->in + WIRE_HEADER, m.length, h, err);
	if (!rc && h->page_size != WIRE_PAGE)
		rc = error_set(err, ENOTSUP,
			"the peer's pages have %u bytes, ours %u",
			h->page_size, WIRE_PAGE);
	return rc;
}

/* The HELLO is complete: its fate is the owner's decision */
static void greeting_offer(struct greeter *g, struct greeting *gr,
			   const struct wire_hello *h)
{
	struct error err = { 0 };
	int rc = g->fn(g->ctx, &gr->c, h, &err);

	gr->waits = rc == -EAGAIN;
	if (!rc)
		*gr = (struct greeting){ 0 };	/* the owner has the channel */
	else if (!gr->waits)
		greeting_refuse(g, gr, &err);
}

/* Bytes came, or the end. A wrong header is refused before the payload came */
static void greeting_read(struct greeter *g, struct greeting *gr)
{
	struct error err = { 0 };
	struct wire_hello h;
	long n = 0;
	int rc = 0;

	if (!gr->waits)
		n = channel_recv_some(&gr->c, gr->in + gr->have,
				      HELLO_BYTES - gr->have, false, &err);
	else if (channel_ended(&gr->c))
		n = error_set(&err, EPIPE,
			      "the other side closed the connection");
	gr->have += n > 0 ? (size_t)n : 0;
	if (n >= 0 && gr->have < WIRE_HEADER)
		return;
	rc = n < 0 ? (int)n : parse_hello(gr, &h, &err);
	if (!rc)
		greeting_offer(g, gr, &h);
	else if (rc != -EAGAIN)
		greeting_refuse(g, gr, &err);
}

static void greeting_expire(struct greeter *g, struct greeting *gr)
{
	struct error err = { 0 };

	error_set(&err, ETIMEDOUT, "no HELLO came in time");
	greeting_refuse(g, gr, &err);
}

/* Return: how long poll() may wait for the next deadline, ms; -1 for ever */
static int fill_polls(struct greeter *g, struct pollfd *p, bool accepting)
{
	uint64_t now = channel_now_ns(), end = 0;
	int ms = accepting ? -1 : RETRY_MS;

	p[POLL_LISTENER] = (struct pollfd){
		.fd = accepting ? g->listener : -1, .events = POLLIN };
	p[POLL_WAKE] = (struct pollfd){ .fd = g->wake, .events = POLLIN };
	for (unsigned i = 0; i < GREETINGS_MAX; i++) {
		struct greeting *gr = &g->greeting[i];

		p[POLL_FIRST + i] = (struct pollfd){
			.fd = channel_poll_fd(&gr->c),
			.events = gr->waits ? POLLRDHUP : POLLIN };
		if (gr->waits)
			ms = OWNER_MS;
		if (channel_is_open(&gr->c) && (!end || gr->end < end))
			end = gr->end;
		ms = channel_poll_ms(&gr->c, ms);
	}
	if (end && now >= end)
		return 0;
	if (end && (ms < 0 || (end - now) / 1000000 < (uint64_t)ms))
		ms = (int)((end - now) / 1000000) + 1;
	return ms;
}

static void *greeter_main(void *arg)
{
	struct greeter *g = arg;
	struct pollfd p[POLLS];
	bool accepting = true;

	while (!g->stop) {
		int ms = fill_polls(g, p, accepting);

		if (poll(p, POLLS, ms) < 0 && errno != EINTR)
			log_line("poll: %m");
		for (unsigned i = 0; i < GREETINGS_MAX && !g->stop; i++) {
			struct greeting *gr = &g->greeting[i];

			if (!channel_is_open(&gr->c))
				continue;
			if (channel_now_ns() >= gr->end)
				greeting_expire(g, gr);
			else if (p[POLL_FIRST + i].revents || gr->waits ||
				 channel_pending(&gr->c))
				greeting_read(g, gr);
		}
		if (!g->stop)
			accepting = accept_all(g);
	}
	for (unsigned i = 0; i < GREETINGS_MAX; i++)
		greeting_close(&g->greeting[i]);
	/* While it is open no other process can have replaced its name */
	if (g->uri.kind == URI_UNIX)
		unlink(g->uri.path);
	close(g->listener);
	return NULL;
}

struct greeter *greeter_new(const struct uri *u,
			    const _Atomic unsigned *hello_ms, greeter_fn *fn,
			    void *ctx, struct error *err)
{
	struct greeter *g = calloc(1, sizeof(*g));
	int rc;

	if (!g) {
		error_set(err, ENOMEM, "out of memory for a listener");
		return NULL;
	}
	g->uri = *u;
	g->hello_ms = hello_ms;
	g->fn = fn;
	g->ctx = ctx;
	g->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g->listener = g->wake < 0
		? error_set(err, errno, "eventfd: %s", strerrordesc_np(errno))
		: socket_listen(u, err);
	rc = g->listener < 0 ? g->listener
	     : -pthread_create(&g->thread, NULL, greeter_main, g);
	if (!rc) {
		pthread_setname_np(g->thread, "listener");
		return g;
	}
	error_set(err, -rc, "cannot start the listener: %s",
		  strerrordesc_np(-rc));
	if (g->listener >= 0)
		close(g->listener);
	if (g->wake >= 0)
		close(g->wake);
	free(g);
	return NULL;
}

void greeter_stop(struct greeter *g)
{
	uint64_t one = 1;

	if (!g)
		return;
	g->stop = true;
	/* EAGAIN: the thread is about to wake up already */
	if (write(g->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_line("eventfd: %m");
}

void greeter_free(struct greeter *g)
{
	if (!g)
		return;
	greeter_stop(g);
	pthread_join(g->thread, NULL);
	close(g->wake);
	free(g);
}
