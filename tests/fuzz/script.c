// SPDX-License-Identifier: MIT
/* script.c - A peer of a session that does what an input says */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "script.h"
#include "vmm/base/clock.h"

#define PORT		4444
#define QUIET_MS	3	/* a session that acts does so earlier */
#define WAIT_MS		100	/* of a wait, at most */
#define IN_VAIN_MAX	16	/* waits */
#define PASS_BITS	16
#define PASS_MAX	120000	/* ms, in all */
#define FILL_MAX	(WIRE_RUN_PAGES * WIRE_PAGE)

static int open_socket(struct sockaddr_in *a)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	CHECK(fd >= 0);
	*a = (struct sockaddr_in){ .sin_family = AF_INET,
				   .sin_port = htons(PORT) };
	return fd;
}

void script_init(struct script *s, bool listens)
{
	struct sockaddr_in a;

	memset(s, 0, sizeof(*s));
	s->uri = (struct uri){ .kind = URI_TCP, .host = "127.0.0.1" };
	snprintf(s->uri.port, sizeof(s->uri.port), "%d", PORT);
	for (unsigned i = 0; i < SCRIPT_CONNECTIONS; i++)
		s->c[i].fd = -1;
	s->listener = -1;
	if (!listens)
		return;
	s->listener = open_socket(&a);
	CHECK(!bind(s->listener, (const void *)&a, sizeof(a)));
	CHECK(!listen(s->listener, SCRIPT_CONNECTIONS));
}

void script_fini(struct script *s)
{
	if (s->listener >= 0)
		close(s->listener);
}

/* ---- What the session sends ---- */

static void note_header(struct script_connection *c)
{
	uint16_t type;
	uint32_t length;
	uint64_t pages;

	memcpy(&pages, c->head + 16, sizeof(pages));
	memcpy(&length, c->head, sizeof(length));
	memcpy(&type, c->head + 4, sizeof(type));
	c->left = length;
	/* The session sends nothing that the wire does not have */
	CHECK(type && type < 64 && length <= WIRE_STATE_MAX);
	c->types |= 1ull << type;
	c->fresh |= 1ull << type;
	if (type == WIRE_MSG_PAGES || type == WIRE_MSG_ZERO ||
	    type == WIRE_MSG_POISON)
		c->pages += pages;
	if (getenv("FUZZ_LOG"))
		fprintf(stderr, "the session sends %s\n", wire_name(type));
}

static void take_bytes(struct script_connection *c, const uint8_t *p, size_t n)
{
	while (n) {
		size_t k = c->got < WIRE_HEADER ? WIRE_HEADER - c->got
						: c->left;

		if (k > n)
			k = n;
		if (c->got < WIRE_HEADER) {
			memcpy(c->head + c->got, p, k);
			c->got += k;
			if (c->got == WIRE_HEADER)
				note_header(c);
		} else {
			c->left -= k;
		}
		p += k;
		n -= k;
		if (c->got == WIRE_HEADER && !c->left)
			c->got = 0;
	}
}

static void end_connection(struct script_connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void read_connection(struct script_connection *c)
{
	static uint8_t buf[65536];
	ssize_t n = recv(c->fd, buf, sizeof(buf), 0);

	if (n > 0)
		take_bytes(c, buf, (size_t)n);
	else if (!n || (errno != EAGAIN && errno != EINTR))
		end_connection(c);
}

static void accept_connection(struct script *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (unsigned i = 0; i < SCRIPT_CONNECTIONS && fd >= 0; i++) {
		if (s->c[i].used)
			continue;
		s->c[i].fd = fd;
		s->c[i].used = true;
		return;
	}
	if (fd >= 0)
		close(fd);
}

/*
 * Read what is there, after at most @ms; @out: a connection to write to.
 * Return: did anything happen?
 */
static bool pump(struct script *s, int ms, const struct script_connection *out)
{
	struct pollfd p[SCRIPT_CONNECTIONS + 1];

	for (unsigned i = 0; i < SCRIPT_CONNECTIONS; i++)
		p[i] = (struct pollfd){ .fd = s->c[i].fd, .events = POLLIN };
	p[SCRIPT_CONNECTIONS] = (struct pollfd){ .fd = s->listener,
						 .events = POLLIN };
	if (out)
		p[out - s->c].events |= POLLOUT;
	if (poll(p, SCRIPT_CONNECTIONS + 1, ms) <= 0)
		return false;
	for (unsigned i = 0; i < SCRIPT_CONNECTIONS; i++)
		if (p[i].fd >= 0 && p[i].revents & (POLLIN | POLLHUP | POLLERR))
			read_connection(&s->c[i]);
	if (s->listener >= 0 && p[SCRIPT_CONNECTIONS].revents)
		accept_connection(s);
	return true;
}

/* ---- Waiting ---- */

static uint64_t begin_wait(void)
{
	return now_ns() + WAIT_MS * 1000000ull;
}

/* Read for a moment, until @end. Return: false if nothing more will come */
static bool wait_more(struct script *s, uint64_t end,
		      const struct script_connection *out)
{
	if (s->in_vain >= IN_VAIN_MAX) {
		pump(s, 0, out);
		return false;
	}
	if (pump(s, QUIET_MS, out) && now_ns() < end)
		return true;
	s->in_vain++;
	return false;
}

/* Open a connection that was never used. Return: is it open? */
static bool need_open(struct script *s, struct script_connection *c)
{
	const uint64_t end = begin_wait();
	struct pollfd p = { .events = POLLOUT };
	struct sockaddr_in a;

	while (s->listener >= 0 && !c->used && wait_more(s, end, NULL))
		;
	if (s->listener >= 0 || c->used)
		return c->fd >= 0;
	c->used = true;
	c->fd = p.fd = open_socket(&a);
	if (connect(c->fd, (const void *)&a, sizeof(a)))
		poll(&p, 1, QUIET_MS);
	return c->fd >= 0;
}

/* ---- The operations ---- */

static void send_bytes(struct script *s, struct script_connection *c,
		       const uint8_t *p, size_t n)
{
	const uint64_t end = begin_wait();

	if (!need_open(s, c))
		return;
	while (n && c->fd >= 0) {
		ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);

		if (k > 0) {
			p += k;
			n -= (size_t)k;
		} else if (errno != EAGAIN) {
			/* What it said before is still to be read */
			pump(s, 0, NULL);
			end_connection(c);
		} else if (!wait_more(s, end, c)) {
			break;
		}
	}
	pump(s, 0, NULL);
}

static void send_pages(struct script *s, struct script_connection *c,
		       unsigned count, uint8_t value)
{
	static uint8_t fill[FILL_MAX];

	memset(fill, value, sizeof(fill));
	send_bytes(s, c, fill, (count % WIRE_RUN_PAGES + 1) * WIRE_PAGE);
}

static void send_header(struct script *s, struct script_connection *c,
			const uint8_t *p)
{
	struct wire_msg m = {
		.type = p[0] % WIRE_MSG_TYPES,
		.a = (p[1] | (uint64_t)p[2] << 8) * WIRE_PAGE, .b = p[3],
	};
	uint8_t head[WIRE_HEADER];

	if (m.type == WIRE_MSG_PAGES)
		m.length = (uint32_t)m.b * WIRE_PAGE;
	wire_put(head, &m);
	send_bytes(s, c, head, sizeof(head));
}

static void send_ack(struct script *s, struct script_connection *c)
{
	struct wire_msg m = { .type = WIRE_MSG_CHUNK_ACK,
			      .length = WIRE_CHUNK_ACK };
	uint8_t all[WIRE_HEADER + WIRE_CHUNK_ACK];

	wire_put(all, &m);
	memcpy(all + WIRE_HEADER, &c->pages, sizeof(c->pages));
	send_bytes(s, c, all, sizeof(all));
}

static void await_message(struct script *s, struct script_connection *c,
			  unsigned type)
{
	uint64_t wanted = type % 64 ? 1ull << type % 64 : UINT64_MAX;
	const uint64_t end = begin_wait();

	if (!need_open(s, c))
		return;
	while (!(c->fresh & wanted) && c->fd >= 0 && wait_more(s, end, NULL))
		;
	c->fresh &= ~wanted;
}

static void pass_time(struct script *s, unsigned bits)
{
	const unsigned ms = 1u << bits % PASS_BITS;
	const uint64_t end = now_ns() + ms * 1000000ull;

	s->passed += ms;
	for (uint64_t now = now_ns(); s->passed <= PASS_MAX && now < end;
	     now = now_ns())
		pump(s, (int)((end - now) / 1000000) + 1, NULL);
}

/* Bytes after the first one */
static const uint8_t arguments[SCRIPT_OPS] = {
	[SCRIPT_SEND] = 2, [SCRIPT_PAGES] = 2, [SCRIPT_HEADER] = 4,
	[SCRIPT_AWAIT] = 1, [SCRIPT_PASS] = 1, [SCRIPT_OPERATE] = 2,
};

size_t script_record(const uint8_t *data, size_t size)
{
	unsigned op = (data[0] >> 3) % SCRIPT_OPS;
	size_t n = 1 + arguments[op];

	if (op == SCRIPT_SEND && size >= 3)
		n += data[1] | (size_t)data[2] << 8;
	return n < size ? n : size;
}

static void play_record(struct script *s, struct reader *r)
{
	unsigned first = get_u8(r), op = (first >> 3) % SCRIPT_OPS;
	struct script_connection *c = &s->c[first & 7];
	uint8_t arg[4] = { 0 };
	size_t n, left;

	for (unsigned i = 0; i < arguments[op]; i++)
		arg[i] = get_u8(r);
	left = r->len - r->pos;
	switch (op) {
	case SCRIPT_SEND:
		n = arg[0] | (size_t)arg[1] << 8;
		n = n < left ? n : left;
		send_bytes(s, c, r->data + r->pos, n);
		r->pos += n;
		return;
	case SCRIPT_PAGES:
		send_pages(s, c, arg[0], arg[1]);
		return;
	case SCRIPT_HEADER:
		send_header(s, c, arg);
		return;
	case SCRIPT_AWAIT:
		await_message(s, c, arg[0]);
		return;
	case SCRIPT_ACK:
		send_ack(s, c);
		return;
	case SCRIPT_PASS:
		pass_time(s, arg[0]);
		return;
	case SCRIPT_OPERATE:
		s->operate(s->ctx, arg[0] % SCRIPT_COMMANDS, arg[1]);
		return;
	default:
		pump(s, 0, NULL);
		end_connection(c);
	}
}

/* A close with unread bytes would take what was sent last from the session */
static void end_all(struct script *s)
{
	const uint64_t end = begin_wait();
	unsigned open;

	for (unsigned i = 0; i < SCRIPT_CONNECTIONS; i++)
		if (s->c[i].fd >= 0)
			shutdown(s->c[i].fd, SHUT_WR);
	do {
		open = 0;
		for (unsigned i = 0; i < SCRIPT_CONNECTIONS; i++)
			open += s->c[i].fd >= 0;
	} while (open && wait_more(s, end, NULL));
	for (unsigned i = 0; i < SCRIPT_CONNECTIONS; i++)
		end_connection(&s->c[i]);
}

void script_play(struct script *s, const uint8_t *data, size_t size)
{
	struct reader r = { .data = data, .len = size };

	while (!r.failed && r.pos < r.len)
		play_record(s, &r);
	end_all(s);
}

bool script_heard(const struct script *s, enum wire_type type)
{
	for (unsigned i = 0; i < SCRIPT_CONNECTIONS; i++)
		if (s->c[i].types & 1ull << type)
			return true;
	return false;
}

/* ---- To write scripts ---- */

static void put_op(struct writer *w, enum script_op op, unsigned connection)
{
	put_u8(w, (uint8_t)(op << 3 | connection));
}

static void put_send(struct writer *w, unsigned connection, const void *p,
		     size_t n)
{
	CHECK(n <= UINT16_MAX);
	put_op(w, SCRIPT_SEND, connection);
	put_u16(w, (uint16_t)n);
	put_bytes(w, p, n);
}

void script_empty(struct writer *w, unsigned connection, enum wire_type type)
{
	const struct wire_msg m = { .type = type };

	script_message(w, connection, &m, NULL);
}

void script_message(struct writer *w, unsigned connection,
		    const struct wire_msg *m, const void *payload)
{
	uint8_t all[4096] = { 0 };

	CHECK(WIRE_HEADER + m->length <= sizeof(all));
	wire_put(all, m);
	if (payload)
		memcpy(all + WIRE_HEADER, payload, m->length);
	put_send(w, connection, all, WIRE_HEADER + m->length);
}

void script_header(struct writer *w, unsigned connection, enum wire_type type,
		   unsigned page, unsigned n)
{
	put_op(w, SCRIPT_HEADER, connection);
	put_u8(w, (uint8_t)type);
	put_u16(w, (uint16_t)page);
	put_u8(w, (uint8_t)n);
}

void script_pages(struct writer *w, unsigned connection, unsigned page,
		  unsigned n)
{
	script_header(w, connection, WIRE_MSG_PAGES, page, n);
	put_op(w, SCRIPT_PAGES, connection);
	put_u8(w, (uint8_t)(n - 1));
	put_u8(w, (uint8_t)(page + 1));
}

void script_await(struct writer *w, unsigned connection, unsigned type)
{
	put_op(w, SCRIPT_AWAIT, connection);
	put_u8(w, (uint8_t)type);
}

void script_ack(struct writer *w, unsigned connection)
{
	/* A type that never comes: until the session waits */
	script_await(w, connection, WIRE_MSG_HELLO);
	put_op(w, SCRIPT_ACK, connection);
}

void script_close(struct writer *w, unsigned connection)
{
	put_op(w, SCRIPT_CLOSE, connection);
}

void script_pass(struct writer *w, unsigned bits)
{
	put_op(w, SCRIPT_PASS, 0);
	put_u8(w, (uint8_t)bits);
}

void script_operate(struct writer *w, enum script_command command,
		    unsigned page)
{
	put_op(w, SCRIPT_OPERATE, 0);
	put_u8(w, (uint8_t)command);
	put_u8(w, (uint8_t)page);
}

size_t script_put(struct writer *w, uint8_t *to)
{
	size_t n = w->len;

	CHECK(!w->failed && n <= FUZZ_INPUT_MAX);
	memcpy(to, w->data, n);
	writer_free(w);
	return n;
}
