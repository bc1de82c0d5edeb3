// SPDX-License-Identifier: MIT
/* network.c - Virtual TCP between the two sides */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "files.h"
#include "migration/wire/wire.h"
#include "network.h"
#include "plan.h"
#include "wrap.h"

#define CONNS_MAX	64
#define SEGMENTS	64
#define BUFFER_MAX	(256u << 10)
#define BACKLOG_MAX	32
#define HEARD_MAX	8
#define SOCKS_MAX	FILES_MAX

/* Bytes that arrive together */
struct segment {
	size_t len;
	uint64_t arrives;
};

/**
 * struct pipe - One direction of a connection
 * @data:	ring of BUFFER_MAX bytes; kept for reuse
 * @at, @queued: first byte in it; bytes from there on
 * @seg, @segs:	how they arrive
 * @last:	when the last byte arrives
 * @eof_at:	when the end arrives; NEVER
 * @index:	messages that have begun, from 1
 * @done:	bytes of the current message that have passed
 * @length:	its length with its header, once @done has the header
 * @head:	the beginning of the message
 */
struct pipe {
	uint8_t *data;
	size_t at, queued;
	struct segment seg[SEGMENTS];
	unsigned segs;
	uint64_t last, eof_at;
	unsigned index;
	size_t done, length;
	uint8_t head[WIRE_HEADER + WIRE_HELLO];
};

/**
 * struct conn - A connection; end 0 connected, end 1 accepted
 * @pipe:	[i]: sent by end i
 * @open:	that end has a socket
 * @reset_at:	when the end sees a reset; NEVER
 * @stall_until: no byte arrives before
 */
struct conn {
	bool used;
	struct pipe pipe[2];
	bool open[2];
	uint64_t reset_at[2], stall_until;
	enum wire_role role;
	unsigned number;
};

enum sock_state { SOCK_NEW, SOCK_LISTENING, SOCK_CONNECTING, SOCK_CONNECTED,
		  SOCK_FAILED };

struct sock {
	bool used;
	enum sock_state state;
	enum side side;
	unsigned port;
	int error;
	struct conn *conn;
	unsigned end;
	bool in_shut, out_shut;
	uint64_t recv_ns, send_ns, connects_at;
	struct conn *backlog[BACKLOG_MAX];
	unsigned waiting;
};

static struct conn conns[CONNS_MAX];
static struct sock socks[SOCKS_MAX];
static struct network_shape shape;
static uint64_t stopped_until, sent_last;
static unsigned numbers;
static struct wire_hello heard[HEARD_MAX];
static unsigned heard_n;

void network_begin(const struct network_shape *s)
{
	shape = *s;
	stopped_until = sent_last = 0;
	numbers = heard_n = 0;
	for (unsigned i = 0; i < CONNS_MAX; i++)
		conns[i].used = false;
	memset(socks, 0, sizeof(socks));
}

static uint64_t delay(void)
{
	return shape.latency + sim_below(shape.jitter + 1);
}

static uint64_t add_time(uint64_t a, uint64_t b)
{
	return a == NEVER || b == NEVER ? NEVER : a + b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void lower(uint64_t *next, uint64_t t)
{
	if (t > sched_now() && t < *next)
		*next = t;
}

void network_stop(uint64_t until)
{
	stopped_until = until;
	sched_wake(&files_changed, true);
}

void network_reshape(const struct network_shape *s)
{
	shape = *s;
	network_stop(0);
}

void network_calm(void)
{
	network_reshape(&(struct network_shape){
		.latency = 20 * US, .jitter = 20 * US, .buffer = 64u << 10,
	});
}

void network_stall_side(enum side side)
{
	for (unsigned i = 0; i < SOCKS_MAX; i++)
		if (socks[i].used && socks[i].side == side && socks[i].conn)
			socks[i].conn->stall_until = NEVER;
}

uint64_t network_last(void)
{
	return sent_last;
}

unsigned network_connections(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CONNS_MAX; i++)
		n += conns[i].used;
	return n;
}

/* ---- Connections ---- */

static void pipe_begin(struct pipe *p)
{
	uint8_t *data = p->data ? p->data : __real_malloc(BUFFER_MAX);

	*p = (struct pipe){ .data = data, .eof_at = NEVER };
}

/* Until HELLO has named it: the order in which a source connects */
static enum wire_role guess_role(void)
{
	unsigned n = network_connections();

	return n <= 1 ? WIRE_MAIN : n == 2 ? WIRE_DEMAND : WIRE_PUSH;
}

static struct conn *conn_new(void)
{
	struct conn *c = conns;

	while (c < conns + CONNS_MAX && c->used)
		c++;
	if (c == conns + CONNS_MAX) {
		sim_fail("too many connections");
		return NULL;
	}
	pipe_begin(&c->pipe[0]);
	pipe_begin(&c->pipe[1]);
	c->used = true;
	c->open[0] = c->open[1] = true;
	c->reset_at[0] = c->reset_at[1] = NEVER;
	c->stall_until = 0;
	c->number = ++numbers;
	c->role = guess_role();
	return c;
}

static void conn_reset(struct conn *c, unsigned end, uint64_t when)
{
	if (when < c->reset_at[end])
		c->reset_at[end] = when;
	sched_wake(&files_changed, true);
}

/* When a byte or the end that was sent is there */
static uint64_t arrival(const struct conn *c, uint64_t sent)
{
	return later(later(sent, c->stall_until), stopped_until);
}

static size_t bytes_here(const struct conn *c, const struct pipe *p,
			 uint64_t *next)
{
	size_t n = 0;

	for (unsigned i = 0; i < p->segs; i++) {
		uint64_t t = arrival(c, p->seg[i].arrives);

		if (t > sched_now()) {
			lower(next, t);
			break;
		}
		n += p->seg[i].len;
	}
	return n;
}

static bool is_reset(const struct sock *s, uint64_t *next)
{
	lower(next, s->conn->reset_at[s->end]);
	return s->conn->reset_at[s->end] <= sched_now();
}

static bool has_ended(const struct conn *c, const struct pipe *p,
		      uint64_t *next)
{
	uint64_t t = p->eof_at == NEVER ? NEVER : arrival(c, p->eof_at);

	lower(next, t);
	return t <= sched_now();
}

/* ---- Faults: where in which message ---- */

const char *network_role_name(enum wire_role role)
{
	static const char *const name[] = { "main", "demand", "push" };

	return role < WIRE_ROLES ? name[role] : "?";
}

/* The connection breaks at this byte */
static void conn_cut(struct conn *c, enum cut_kind kind, uint64_t ns)
{
	const uint64_t now = sched_now();

	sim_trace("connection %u (%s) breaks: %s", c->number,
		  network_role_name(c->role), cut_name(kind));
	switch (kind) {
	case CUT_RESET:
		conn_reset(c, 0, now);
		conn_reset(c, 1, now);
		break;
	case CUT_ONE_WAY:	/* what was sent still arrives */
		for (unsigned i = 0; i < 2; i++)
			conn_reset(c, i, arrival(c, later(now,
					c->pipe[!i].last) + delay()));
		break;
	case CUT_STALL:
		c->stall_until = add_time(now, ns);
		break;
	case CUT_NETWORK:
		network_stop(add_time(now, ns));
		break;
	case CUT_NETWORK_RESET:
		for (unsigned i = 0; i < CONNS_MAX; i++)
			if (conns[i].used)
				conn_cut(&conns[i], CUT_RESET, 0);
		network_stop(add_time(now, ns));
		break;
	default:
		break;
	}
	sched_wake(&files_changed, true);
}

void network_cut(enum wire_role role, const struct plan_cut *cut)
{
	struct conn *c = NULL;

	for (unsigned i = 0; i < CONNS_MAX; i++)
		if (conns[i].used && conns[i].role == role &&
		    (!c || sim_chance(2)))
			c = &conns[i];
	if (c)
		conn_cut(c, cut->kind, cut->ns);
}

static void trace_message(struct conn *c, unsigned end, const struct pipe *p)
{
	struct error err = { 0 };
	struct wire_msg m;

	if (wire_get(p->head, &m, &err)) {
		sim_trace("%u %s: garbage", c->number, network_role_name(c->role));
		return;
	}
	sim_trace("%u %s %s %u: %s, %u bytes, 0x%llx +%llu", c->number,
		  network_role_name(c->role), end ? "D>S" : "S>D", p->index,
		  wire_name(m.type), m.length, (unsigned long long)m.a,
		  (unsigned long long)m.b);
}

static uint32_t read_length(const uint8_t *head)
{
	return head[0] | head[1] << 8 | head[2] << 16 |
	       (uint32_t)head[3] << 24;
}

static void learn_role(struct conn *c, unsigned end, const struct pipe *p)
{
	struct wire_hello h;

	if (p->index != 1 || p->done != WIRE_HEADER + WIRE_HELLO ||
	    wire_get_hello(p->head + WIRE_HEADER, WIRE_HELLO, &h, NULL))
		return;
	c->role = h.role;
	if (!end)
		heard[heard_n++ % HEARD_MAX] = h;
}

bool network_heard(struct wire_hello *hello)
{
	const unsigned n = heard_n < HEARD_MAX ? heard_n : HEARD_MAX;

	if (n)
		*hello = heard[sim_below(n)];
	return n;
}

/*
 * A piece of a message passes, up to its end or the end of its header. Return:
 * bytes of @n that pass before the connection breaks
 */
static size_t pass_piece(struct conn *c, unsigned end, const uint8_t *from,
			 size_t n)
{
	struct pipe *p = &c->pipe[end];
	struct plan_point at = {
		.role = c->role, .from_source = !end, .from = p->done,
	};
	size_t left;

	left = (p->done < WIRE_HEADER ? WIRE_HEADER : p->length) - p->done;
	n = n < left ? n : left;
	at.index = p->index + !p->done;
	at.length = p->length;
	at.to = p->done + n;
	at.ends = p->done >= WIRE_HEADER && at.to == p->length;
	n = plan_message(&at);
	if (!n)
		return 0;
	p->index = at.index;
	for (size_t i = 0; i < n && p->done + i < sizeof(p->head); i++)
		p->head[p->done + i] = from[i];
	p->done += n;
	if (p->done == WIRE_HEADER) {
		p->length = WIRE_HEADER + read_length(p->head);
		trace_message(c, end, p);
	}
	learn_role(c, end, p);
	if (p->done >= WIRE_HEADER && p->done == p->length)
		p->done = 0;
	return n;
}

static void queue_bytes(struct conn *c, unsigned end, const uint8_t *from,
			size_t n)
{
	struct pipe *p = &c->pipe[end];
	size_t to = (p->at + p->queued) % BUFFER_MAX;
	size_t first = BUFFER_MAX - to < n ? BUFFER_MAX - to : n;

	memcpy(p->data + to, from, first);
	memcpy(p->data, from + first, n - first);
	p->queued += n;
	p->last = later(p->last, sched_now() + delay());
	if (p->segs == SEGMENTS) {
		p->seg[p->segs - 1].len += n;
		p->seg[p->segs - 1].arrives = p->last;
	} else {
		p->seg[p->segs++] = (struct segment){ n, p->last };
	}
}

/* Bytes enter the network. Return: how many; fewer if the connection broke */
static size_t send_bytes(struct conn *c, unsigned end, const uint8_t *from,
			 size_t n)
{
	size_t done = 0;

	sent_last = sched_now();
	/* Broken, but not known here yet: the bytes go nowhere */
	if (c->reset_at[end] != NEVER)
		return n;
	while (done < n) {
		size_t k = pass_piece(c, end, from + done, n - done);
		struct plan_cut cut;

		if (k)
			queue_bytes(c, end, from + done, k);
		done += k;
		while (plan_take_cut(&cut)) {
			conn_cut(c, cut.kind, cut.ns);
			if (cut.kind == CUT_RESET ||
			    cut.kind == CUT_ONE_WAY)
				return done;
		}
	}
	return done;
}

/* ---- Sockets ---- */

static struct sock *sock_of(int fd)
{
	struct file *f = file_of(fd);

	if (f && f->sock)
		return f->sock;
	errno = ENOTSOCK;
	return NULL;
}

static struct sock *sock_new(void)
{
	for (unsigned i = 0; i < SOCKS_MAX; i++)
		if (!socks[i].used) {
			socks[i] = (struct sock){ .used = true,
						  .side = sched_side() };
			return &socks[i];
		}
	return NULL;
}

static int open_sock(struct sock *s, bool nonblock)
{
	int fd = s ? file_open(s, nonblock) : -1;

	if (fd < 0 && s)
		s->used = false;
	return fd;
}

int __wrap_socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)protocol;
	errno = plan_fails(CALL_SOCKET);
	return errno ? -1 : open_sock(sock_new(), type & SOCK_NONBLOCK);
}

static unsigned port_of(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)a)
			     ->sin6_port);
	return ntohs(((const struct sockaddr_in *)(const void *)a)->sin_port);
}

static struct sock *listener_at(unsigned port)
{
	for (unsigned i = 0; i < SOCKS_MAX; i++)
		if (socks[i].used && socks[i].state == SOCK_LISTENING &&
		    socks[i].port == port)
			return &socks[i];
	return NULL;
}

int __wrap_bind(int fd, const struct sockaddr *a, socklen_t len)
{
	struct sock *s = sock_of(fd);

	(void)len;
	if (!s)
		return -1;
	errno = plan_fails(CALL_BIND);
	if (errno)
		return -1;
	if (listener_at(port_of(a))) {
		errno = EADDRINUSE;
		return -1;
	}
	s->port = port_of(a);
	return 0;
}

int __wrap_listen(int fd, int backlog)
{
	struct sock *s = sock_of(fd);

	(void)backlog;
	if (!s)
		return -1;
	errno = plan_fails(CALL_LISTEN);
	if (errno)
		return -1;
	s->state = SOCK_LISTENING;
	return 0;
}

/* The SYN arrives at last, or its refusal comes back */
static void finish_connecting(struct sock *s)
{
	struct sock *l = listener_at(s->port);

	if (!l || l->waiting == BACKLOG_MAX) {
		s->state = SOCK_FAILED;
		s->error = ECONNREFUSED;
		return;
	}
	s->conn = conn_new();
	if (!s->conn)
		return;
	s->end = 0;
	s->state = SOCK_CONNECTED;
	l->backlog[l->waiting++] = s->conn;
	sim_trace("connection %u is established", s->conn->number);
}

void network_progress(void)
{
	for (unsigned i = 0; i < SOCKS_MAX; i++) {
		struct sock *s = &socks[i];

		if (!s->used || s->state != SOCK_CONNECTING ||
		    later(s->connects_at, stopped_until) > sched_now())
			continue;
		finish_connecting(s);
		sched_wake(&files_changed, true);
	}
}

/* A connection that is about to be established is news for its listener */
static void lower_to_connects(const struct sock *s, uint64_t *next)
{
	for (unsigned i = 0; i < SOCKS_MAX; i++)
		if (socks[i].used && socks[i].state == SOCK_CONNECTING &&
		    (&socks[i] == s || s->state == SOCK_LISTENING))
			lower(next, later(socks[i].connects_at,
					  stopped_until));
}

int __wrap_connect(int fd, const struct sockaddr *a, socklen_t len)
{
	struct sock *s = sock_of(fd);

	(void)len;
	sched_point();
	if (!s)
		return -1;
	errno = plan_fails(CALL_CONNECT);
	if (errno)
		return -1;
	s->port = port_of(a);
	s->state = SOCK_CONNECTING;
	s->connects_at = sched_now() + 2 * delay();
	sched_wake(&files_changed, true);
	if (!file_of(fd)->nonblock)
		sim_fail("a connect() that blocks");
	errno = EINPROGRESS;
	return -1;
}

int __wrap_accept4(int fd, struct sockaddr *a, socklen_t *len, int flags)
{
	struct sock *s = sock_of(fd), *new;

	(void)a;
	(void)len;
	sched_point();
	network_progress();
	if (!s)
		return -1;
	errno = plan_fails(CALL_ACCEPT);
	if (!errno && !s->waiting)
		errno = EAGAIN;
	if (errno)
		return -1;
	new = sock_new();
	if (!new)
		return -1;
	new->conn = s->backlog[0];
	new->end = 1;
	new->state = SOCK_CONNECTED;
	memmove(s->backlog, s->backlog + 1,
		--s->waiting * sizeof(s->backlog[0]));
	return open_sock(new, flags & SOCK_NONBLOCK);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value,
		      socklen_t len)
{
	struct sock *s = sock_of(fd);
	struct timeval t;
	uint64_t ns;

	if (!s)
		return -1;
	if (level != SOL_SOCKET || len < sizeof(t) ||
	    (name != SO_RCVTIMEO && name != SO_SNDTIMEO))
		return 0;
	memcpy(&t, value, sizeof(t));
	ns = (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_usec * US;
	if (name == SO_RCVTIMEO)
		s->recv_ns = ns;
	else
		s->send_ns = ns;
	return 0;
}

int __wrap_getsockopt(int fd, int level, int name, void *value,
		      socklen_t *len)
{
	struct sock *s = sock_of(fd);

	(void)level;
	network_progress();
	if (!s || name != SO_ERROR || *len < sizeof(s->error))
		return -1;
	memcpy(value, &s->error, sizeof(s->error));
	return 0;
}

static short poll_connected(struct sock *s, uint64_t *next)
{
	struct conn *c = s->conn;
	struct pipe *in = &c->pipe[!s->end], *out = &c->pipe[s->end];
	short ready = 0;

	if (is_reset(s, next))
		return POLLIN | POLLOUT | POLLRDHUP | POLLERR | POLLHUP;
	if (bytes_here(c, in, next))
		ready |= POLLIN;
	/* As TCP: also while there are bytes to read */
	if (has_ended(c, in, next))
		ready |= POLLIN | POLLRDHUP;
	if (s->in_shut)
		ready |= POLLIN | POLLRDHUP;
	if (out->queued < shape.buffer || s->out_shut)
		ready |= POLLOUT;
	if (s->in_shut && s->out_shut)
		ready |= POLLHUP;
	return ready;
}

short sock_poll(struct sock *s, uint64_t *next)
{
	switch (s->state) {
	case SOCK_CONNECTED:
		return poll_connected(s, next);
	case SOCK_FAILED:
		return POLLOUT | POLLERR | POLLHUP;
	default:
		lower_to_connects(s, next);
		return s->waiting ? POLLIN : 0;
	}
}

/* ---- Receive and send ---- */

static size_t limit_piece(size_t n)
{
	if (shape.piece && n > 1 && sim_chance(3))
		n = 1 + sim_below(n < shape.piece ? n : shape.piece);
	return n;
}

static void take_bytes(struct pipe *p, uint8_t *to, size_t n)
{
	size_t first = BUFFER_MAX - p->at < n ? BUFFER_MAX - p->at : n;

	memcpy(to, p->data + p->at, first);
	memcpy(to + first, p->data, n - first);
	p->at = (p->at + n) % BUFFER_MAX;
	p->queued -= n;
	while (n) {
		size_t k = p->seg[0].len < n ? p->seg[0].len : n;

		p->seg[0].len -= k;
		n -= k;
		if (!p->seg[0].len)
			memmove(p->seg, p->seg + 1,
				--p->segs * sizeof(p->seg[0]));
	}
	sched_wake(&files_changed, true);
}

/* Return: bytes, 0 at the end, -1 with errno; EAGAIN if it must wait */
static ssize_t recv_now(struct sock *s, void *to, size_t max, uint64_t *next)
{
	struct conn *c = s->conn;
	struct pipe *in = &c->pipe[!s->end];
	size_t here = bytes_here(c, in, next);

	if (here) {
		here = limit_piece(here < max ? here : max);
		take_bytes(in, to, here);
		return (ssize_t)here;
	}
	if (is_reset(s, next)) {
		errno = ECONNRESET;
		return -1;
	}
	if (s->in_shut || has_ended(c, in, next))
		return 0;
	errno = EAGAIN;
	return -1;
}

/* Return: the socket of a call that may begin; NULL with errno */
static struct sock *begin_call(int fd, enum sim_call call)
{
	struct sock *s = sock_of(fd);

	sched_point();
	errno = !s || s->state != SOCK_CONNECTED ? ENOTCONN : plan_fails(call);
	return errno ? NULL : s;
}

/* A call has returned @n. Return: true: it waited, and is to be repeated */
static bool wait_in_call(int fd, int flags, ssize_t n, uint64_t end,
			 uint64_t next)
{
	if (n >= 0 || errno != EAGAIN || file_of(fd)->nonblock ||
	    flags & MSG_DONTWAIT || sched_now() >= end || sim_failed())
		return false;
	sched_wait(&files_changed, "a socket", next);
	return true;
}

static uint64_t call_end(uint64_t limit)
{
	return limit ? sched_now() + limit : NEVER;
}

ssize_t __wrap_recv(int fd, void *to, size_t max, int flags)
{
	struct sock *s = begin_call(fd, CALL_RECV);
	uint64_t end, next;
	ssize_t n;

	if (!s)
		return -1;
	end = call_end(s->recv_ns);
	do {
		next = end;
		n = recv_now(s, to, max, &next);
	} while (wait_in_call(fd, flags, n, end, next));
	return n;
}

ssize_t __wrap___recv_chk(int fd, void *to, size_t max, size_t size,
			  int flags)
{
	(void)size;
	return __wrap_recv(fd, to, max, flags);
}

/* Return: as recv_now() */
static ssize_t send_now(struct sock *s, const struct msghdr *m,
			uint64_t *next)
{
	struct conn *c = s->conn;
	struct pipe *out = &c->pipe[s->end];
	size_t done = 0;

	if (is_reset(s, next) || s->out_shut) {
		errno = EPIPE;
		return -1;
	}
	if (!c->open[!s->end]) {
		/* It is taken, and answered by a reset */
		conn_reset(c, s->end, arrival(c, sched_now() + 2 * delay()));
		for (size_t i = 0; i < m->msg_iovlen; i++)
			done += m->msg_iov[i].iov_len;
		return (ssize_t)done;
	}
	for (size_t i = 0; i < m->msg_iovlen; i++) {
		size_t n = m->msg_iov[i].iov_len, k;
		size_t room = shape.buffer - out->queued;

		k = limit_piece(n < room ? n : room);
		k = k ? send_bytes(c, s->end, m->msg_iov[i].iov_base, k) : 0;
		done += k;
		if (k < n)
			break;
	}
	if (done)
		sched_wake(&files_changed, true);
	errno = is_reset(s, next) ? EPIPE : EAGAIN;
	return done ? (ssize_t)done : -1;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct sock *s = begin_call(fd, CALL_SEND);
	uint64_t end, next;
	ssize_t n;

	if (!s)
		return -1;
	end = call_end(s->send_ns);
	do {
		next = end;
		n = send_now(s, m, &next);
	} while (wait_in_call(fd, flags, n, end, next));
	return n;
}

ssize_t __wrap_send(int fd, const void *from, size_t n, int flags)
{
	struct iovec iov = { (void *)(uintptr_t)from, n };
	const struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	return __wrap_sendmsg(fd, &m, flags);
}

/* ---- Ends ---- */

static void send_end(struct sock *s)
{
	struct pipe *out = &s->conn->pipe[s->end];

	if (out->eof_at == NEVER)
		out->eof_at = later(out->last, sched_now() + delay());
	s->out_shut = true;
}

int __wrap_shutdown(int fd, int how)
{
	struct sock *s = sock_of(fd);

	if (!s)
		return -1;
	if (s->state == SOCK_CONNECTED) {
		s->in_shut |= how != SHUT_WR;
		if (how != SHUT_RD)
			send_end(s);
	}
	sched_wake(&files_changed, true);
	sched_point();
	return 0;
}

/* As TCP: closing with unread bytes resets the connection */
static void close_end(struct conn *c, unsigned end)
{
	const struct pipe *in = &c->pipe[!end];

	c->open[end] = false;
	if (in->queued)
		conn_reset(c, !end, arrival(c, later(c->pipe[end].last,
					sched_now() + delay())));
	if (!c->open[!end])
		c->used = false;
}

void sock_relabel(struct sock *s, enum side side)
{
	s->side = side;
}

void sock_close(struct sock *s)
{
	if (s->state == SOCK_CONNECTED) {
		send_end(s);
		close_end(s->conn, s->end);
	}
	for (unsigned i = 0; i < s->waiting; i++) {
		conn_reset(s->backlog[i], 0, sched_now() + delay());
		close_end(s->backlog[i], 1);
	}
	s->used = false;
}

/* ---- Names ---- */

int __wrap_getaddrinfo(const char *host, const char *port,
		       const struct addrinfo *hints, struct addrinfo **out)
{
	struct {
		struct addrinfo info;
		struct sockaddr_in address;
	} *x;

	(void)host;
	(void)hints;
	sched_wait(NULL, "a name server", sched_now() + 2 * delay());
	if (plan_fails(CALL_RESOLVE))
		return EAI_AGAIN;
	x = __wrap_calloc(1, sizeof(*x));
	if (!x)
		return EAI_MEMORY;
	x->address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
	};
	x->info = (struct addrinfo){
		.ai_family = AF_INET, .ai_socktype = SOCK_STREAM,
		.ai_addrlen = sizeof(x->address),
		.ai_addr = (struct sockaddr *)(void *)&x->address,
	};
	*out = &x->info;
	return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *a)
{
	__wrap_free(a);
}
