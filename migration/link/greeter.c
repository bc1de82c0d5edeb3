// SPDX-License-Identifier: MIT
/* greeter.c - The listener of a destination, and connections that say HELLO */

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "channel_tls.h"
#include "greeter.h"
#include "listener.h"
#include "vmm/base/log.h"

#define HELLO_BYTES	(WIRE_HEADER + WIRE_HELLO)
#define POLLS		(1 + SOCKET_ADDRESSES_MAX + GREETINGS_MAX)
#define TLS_HANDSHAKE	22	/* the first byte of TLS, RFC 8446, 5.1 */
#define TLS_MAJOR	3	/* and the second one */
#define RETRY_MS	100	/* after accept() failed: descriptors, memory */
#define OWNER_MS	20	/* until the owner is asked again */
#define REFUSED_NS	NS_PER_S	/* one line a second about refusals */
#define TROUBLE_NS	(60 * NS_PER_S)	/* and one a minute about this host */

/* A connection that has not said HELLO yet */
struct greeting {
	struct channel c;
	uint64_t end;		/* deadline, ns */
	bool handshake;		/* TLS: it is not complete */
	bool waits;		/* HELLO is complete; the owner is not ready */
	unsigned poll;		/* its index in struct polls */
	size_t have;		/* bytes in @in */
	uint8_t in[HELLO_BYTES];
};

/*
 * What the thread polls: only what is open, because poll(2) fails with EINVAL
 * if there are more entries than the process may have descriptors
 */
struct polls {
	struct pollfd p[POLLS];
	unsigned n;
};

/* Lines of one kind in the log, at most one in an interval */
struct rare_line {
	uint64_t interval;	/* ns */
	uint64_t logged;	/* when the last line was written, ns */
	unsigned more;		/* that were not written since */
};

struct greeter {
	struct listener listener;
	int wake;
	struct greeter_env env;
	struct tls *tls;
	pthread_t thread;
	_Atomic bool stop;
	struct greeting greeting[GREETINGS_MAX];
	struct rare_line refused, trouble;
};

static void greeting_close(struct greeting *gr)
{
	channel_close(&gr->c);
	*gr = (struct greeting){ 0 };
}

/* Port scanners connect often, and a host out of descriptors stays so */
static void log_rarely(struct rare_line *r, const char *what, const char *why)
{
	uint64_t now = now_ns();

	if (r->logged && now - r->logged < r->interval) {
		r->more++;
		return;
	}
	if (r->more)
		log_line("%s: %s (and %u more before it)", what, why, r->more);
	else
		log_line("%s: %s", what, why);
	r->logged = now;
	r->more = 0;
}

/* REFUSE fits the empty buffer of a fresh socket, so this does not wait. A peer
 * whose handshake has failed got an alert; one without TLS may be a Ferry
 */
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
	if (gr->handshake)
		tls_send_plain(&gr->c, out, WIRE_HEADER + m.length);
	else
		channel_send_some(&gr->c, out, WIRE_HEADER + m.length, NULL);
	log_rarely(&g->refused, "connection refused", why->text);
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

static void greeting_begin(struct greeter *g, struct channel *c)
{
	struct greeting *gr = greeting_place(g);
	struct error err = { 0 };

	if (g->tls && tls_channel(c, g->tls, NULL, &err)) {
		log_rarely(&g->trouble, "a connection is closed", err.text);
		channel_close(c);
		return;
	}
	*gr = (struct greeting){ .c = *c, .handshake = g->tls };
	gr->end = ns_after(*g->env.hello_ms);
}

/* Return: false if accept() can't go on at the moment */
static bool accept_all(struct greeter *g)
{
	struct channel c;
	int rc;

	while (!(rc = listener_accept(&g->listener, &c)))
		greeting_begin(g, &c);
	if (rc == -EAGAIN || rc == -ECONNABORTED)
		return true;
	log_rarely(&g->trouble, "a connection waits, and can't be accepted",
		   strerrordesc_np(-rc));
	return false;
}

/* In constant time: the value must not be found byte by byte */
static bool is_bound(const struct greeting *gr, const struct wire_hello *h)
{
	uint8_t wanted[CHANNEL_BINDING], differ = 0;

	static_assert(CHANNEL_BINDING == WIRE_BINDING, "HELLO carries it");
	channel_bind(&gr->c, h->secret, WIRE_SECRET, wanted);
	for (size_t i = 0; i < CHANNEL_BINDING; i++)
		differ |= wanted[i] ^ h->binding[i];
	return !differ;
}

static int parse_hello(const struct greeting *gr, struct wire_hello *h,
		       struct error *err)
{
	struct wire_msg m;
	int rc;

	if (gr->in[0] == TLS_HANDSHAKE && gr->in[1] == TLS_MAJOR)
		return error_set(err, EPROTO,
			"the peer speaks TLS, this listener does not (tls: instead of tcp:?)");
	rc = wire_get(gr->in, &m, err);
	if (!rc && m.type != WIRE_MSG_HELLO)
		rc = error_set(err, EBADMSG,
			"the peer sent %s where HELLO belongs",
			wire_name(m.type));
	/* A HELLO of another version may be shorter, or longer */
	if (!rc && gr->have < HELLO_BYTES && gr->have < WIRE_HEADER + m.length)
		return -EAGAIN;
	if (!rc)
		rc = wire_get_hello(gr->in + WIRE_HEADER, m.length, h, err);
	if (!rc && !is_bound(gr, h))
		rc = error_set(err, EACCES,
			"the HELLO was made for another connection: a relay or a TLS proxy forwards the connection");
	if (!rc && h->page_size != WIRE_PAGE)
		rc = error_set(err, ENOTSUP,
			"the peer's pages have %u bytes, ours %u",
			h->page_size, WIRE_PAGE);
	return rc;
}

/* The HELLO is complete: the owner accepts or refuses it */
static void greeting_offer(struct greeter *g, struct greeting *gr,
			   const struct wire_hello *h)
{
	struct error err = { 0 };
	int rc = g->env.fn(g->env.ctx, &gr->c, h, &err);

	gr->waits = rc == -EAGAIN;
	if (!rc)
		*gr = (struct greeting){ 0 };	/* the owner has the channel */
	else if (!gr->waits)
		greeting_refuse(g, gr, &err);
}

/* Return: true if the handshake is complete, or there is none */
static bool greeting_is_secure(struct greeter *g, struct greeting *gr)
{
	struct error err = { 0 };
	int rc = gr->handshake ? tls_handshake(&gr->c, &err) : 0;

	if (rc && rc != -EAGAIN)
		greeting_refuse(g, gr, &err);
	else
		gr->handshake = rc;
	return !rc;
}

/* Bytes came, or the end. A wrong header is refused before the payload came */
static void greeting_read(struct greeter *g, struct greeting *gr)
{
	struct error err = { 0 };
	struct wire_hello h;
	long n = 0;
	int rc = 0;

	if (!greeting_is_secure(g, gr))
		return;
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

static unsigned add_poll(struct polls *ps, int fd, short events)
{
	ps->p[ps->n] = (struct pollfd){ .fd = fd, .events = events };
	return ps->n++;
}

/* Return: how long poll() may wait for the next deadline, ms; -1 for ever */
static int fill_polls(struct greeter *g, struct polls *ps, bool accepting)
{
	uint64_t now = now_ns(), end = 0;
	int ms = accepting ? -1 : RETRY_MS;

	ps->n = 0;
	add_poll(ps, g->wake, POLLIN);
	for (unsigned i = 0; i < g->listener.n && accepting; i++)
		add_poll(ps, g->listener.fd[i], POLLIN);
	for (unsigned i = 0; i < GREETINGS_MAX; i++) {
		struct greeting *gr = &g->greeting[i];

		if (!channel_is_open(&gr->c))
			continue;
		gr->poll = add_poll(ps, channel_poll_fd(&gr->c),
				    gr->handshake ? tls_poll_events(&gr->c) :
				    gr->waits ? POLLRDHUP : POLLIN);
		if (gr->waits)
			ms = OWNER_MS;
		if (!end || gr->end < end)
			end = gr->end;
		ms = channel_poll_ms(&gr->c, ms);
	}
	if (end && now >= end)
		return 0;
	if (end && (ms < 0 || (end - now) / 1000000 < (uint64_t)ms))
		ms = (int)((end - now) / 1000000) + 1;
	return ms;
}

static void wait_events(struct greeter *g, struct polls *ps, bool accepting)
{
	int ms = fill_polls(g, ps, accepting);

	if (poll(ps->p, ps->n, ms) >= 0)
		return;
	/* Without this, a call that fails at once would use a whole CPU */
	if (errno != EINTR) {
		log_rarely(&g->trouble, "poll", strerrordesc_np(errno));
		usleep(RETRY_MS * 1000);
	}
	for (unsigned i = 0; i < ps->n; i++)
		ps->p[i].revents = 0;
}

static void *greeter_main(void *arg)
{
	struct greeter *g = arg;
	struct polls ps;
	bool accepting = true;

	while (!g->stop) {
		wait_events(g, &ps, accepting);
		for (unsigned i = 0; i < GREETINGS_MAX && !g->stop; i++) {
			struct greeting *gr = &g->greeting[i];

			if (!channel_is_open(&gr->c))
				continue;
			if (now_ns() >= gr->end)
				greeting_expire(g, gr);
			else if (ps.p[gr->poll].revents || gr->waits ||
				 channel_pending(&gr->c))
				greeting_read(g, gr);
		}
		if (!g->stop)
			accepting = accept_all(g);
	}
	for (unsigned i = 0; i < GREETINGS_MAX; i++)
		greeting_close(&g->greeting[i]);
	listener_close(&g->listener);
	return NULL;
}

static int greeter_secure(struct greeter *g, const struct uri *u,
			  struct error *err)
{
	if (u->kind == URI_TCP && g->env.tls && g->env.tls->required)
		return error_set(err, EACCES,
			"TLS is required here (--require-tls): use tls:%s:%s",
			u->host, u->port);
	if (u->kind != URI_TLS)
		return 0;
	g->tls = tls_load(g->env.tls, TLS_DESTINATION, err);
	return g->tls ? 0 : -err->code;
}

static int greeter_open(struct greeter *g, const struct uri *u,
			struct error *err)
{
	char text[URI_TEXT];
	int rc;

	uri_text(u, text);
	g->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->wake < 0)
		return error_set(err, errno, "eventfd: %s",
				 strerrordesc_np(errno));
	rc = greeter_secure(g, u, err);
	if (!rc)
		rc = listener_open(&g->listener, u, g->env.ending, g->env.ctx,
				   err);
	if (rc)
		return rc;
	if (!g->tls && listener_is_reachable(&g->listener))
		log_line("other hosts can reach %s, which is neither encrypted "
			 "nor authenticated: use tls:HOST:PORT (docs/tls.md), "
			 "or a tunnel to a loopback address",
			 text);
	rc = pthread_create(&g->thread, NULL, greeter_main, g);
	if (!rc) {
		pthread_setname_np(g->thread, "listener");
		return 0;
	}
	listener_close(&g->listener);
	return error_set(err, rc, "cannot start the listener: %s",
			 strerrordesc_np(rc));
}

struct greeter *greeter_new(const struct uri *u, const struct greeter_env *env,
			    struct error *err)
{
	struct greeter *g = calloc(1, sizeof(*g));

	if (!g) {
		error_set(err, ENOMEM, "out of memory for a listener");
		return NULL;
	}
	g->env = *env;
	g->refused.interval = REFUSED_NS;
	g->trouble.interval = TROUBLE_NS;
	if (!greeter_open(g, u, err))
		return g;
	if (g->wake >= 0)
		close(g->wake);
	tls_unref(g->tls);
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
	tls_unref(g->tls);
	free(g);
}
