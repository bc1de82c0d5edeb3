// SPDX-License-Identifier: MIT
/* channel.c - What all channels have in common: buffers, messages, deadlines */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "channel.h"

#define WATCH_MS	100	/* a wait looks at @end_ns this often */

static int explain(const struct channel *c, ssize_t rc, struct error *err)
{
	const char *why = c->ops->why ? c->ops->why(c) : NULL;

	if (why)
		return error_set(err, (int)-rc, "%s", why);
	switch (rc) {
	case -ETIMEDOUT:
		return error_set(err, ETIMEDOUT,
			"the other side has not answered in time");
	case -EPIPE:
	case -ECONNRESET:
		return error_set(err, EPIPE,
				 "the other side closed the connection");
	default:
		return error_set(err, (int)-rc, "connection: %s",
				 strerrordesc_np((int)-rc));
	}
}

void channel_set_silence(struct channel *c, unsigned ms)
{
	c->silence_ms = ms;
	c->ops->timeout(c, ms);
}

void channel_set_end(struct channel *c, uint64_t ns)
{
	c->end_ns = ns;
}

int channel_poll_fd(const struct channel *c)
{
	return c->ops ? c->fd : -1;
}

bool channel_pending(const struct channel *c)
{
	return c->ops && c->ops->pending && c->ops->pending(c);
}

int channel_poll_ms(const struct channel *c, int ms)
{
	return channel_pending(c) ? 0 : ms;
}

bool channel_ended(const struct channel *c)
{
	return !c->ops || c->ops->ended(c);
}

void channel_bind(const struct channel *c, const void *secret, size_t n,
		  uint8_t *out)
{
	memset(out, 0, CHANNEL_BINDING);
	if (c->ops && c->ops->bind)
		c->ops->bind(c, secret, n, out);
}

void channel_peer(const struct channel *c, uint8_t *out)
{
	memset(out, 0, CHANNEL_BINDING);
	if (c->ops && c->ops->peer)
		c->ops->peer(c, out);
}

void channel_shut(struct channel *c)
{
	if (c->ops)
		c->ops->shut(c);
}

void channel_shut_in(struct channel *c)
{
	if (c->ops)
		c->ops->shut_in(c);
}

void channel_close(struct channel *c)
{
	if (c->ops)
		c->ops->close(c);
	*c = (struct channel){ .fd = -1 };
}

/*
 * Wait until a watched channel can make progress. Return: 0, -ETIMEDOUT
 */
static int watch(const struct channel *c, short events, uint64_t start)
{
	const uint64_t silence = c->silence_ms * NS_PER_MS;

	for (;;) {
		struct pollfd p = { .fd = c->fd, .events = events };
		uint64_t now = now_ns(), end = c->end_ns;
		uint64_t left = WATCH_MS * NS_PER_MS;

		if ((end && now >= end) || (silence && now - start >= silence))
			return -ETIMEDOUT;
		if (end && end - now < left)
			left = end - now;
		if (silence && start + silence - now < left)
			left = start + silence - now;
		/* One more, since poll() counts whole ms */
		if (poll(&p, 1, (int)(left / 1000000) + 1) > 0)
			return 0;
	}
}

static ssize_t recv_once(struct channel *c, void *data, size_t max, bool wait)
{
	uint64_t start;
	ssize_t n;

	if (!wait || !c->watched)
		return c->ops->recv(c, data, max, wait);
	start = now_ns();
	while (!(n = c->ops->recv(c, data, max, false))) {
		n = watch(c, POLLIN, start);
		if (n)
			break;
	}
	return n;
}

static ssize_t send_once(struct channel *c, const struct iovec *iov, size_t n,
			 bool wait)
{
	uint64_t start;
	ssize_t done;

	if (!wait || !c->watched)
		return c->ops->sendv(c, iov, n, wait);
	start = now_ns();
	while (!(done = c->ops->sendv(c, iov, n, false))) {
		done = watch(c, POLLOUT, start);
		if (done)
			break;
	}
	return done;
}

/*
 * A part of a unit was transferred, and @left bytes are missing. Return: has its
 * time passed? @end is 0 before the first part
 */
static bool is_late(const struct channel *c, uint64_t *end, size_t left)
{
	uint64_t now;

	if (!c->silence_ms || !left)
		return false;
	now = now_ns();
	if (*end)
		return now >= *end;
	*end = now + c->silence_ms * NS_PER_MS +
	       left * NS_PER_S / CHANNEL_RATE_MIN;
	return false;
}

static size_t bytes_of(const struct iovec *iov, size_t n)
{
	size_t bytes = 0;

	while (n)
		bytes += iov[--n].iov_len;
	return bytes;
}

/* Step over what was sent */
static void advance(struct iovec **iov, size_t *left, size_t n)
{
	while (*left && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*left)--;
	}
	if (*left) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

int channel_sendv(struct channel *c, struct iovec *iov, size_t n,
		  struct error *err)
{
	uint64_t end = 0;

	advance(&iov, &n, 0);
	while (n) {
		ssize_t done = send_once(c, iov, n, true);

		if (done < 0)
			return explain(c, done, err);
		advance(&iov, &n, (size_t)done);
		if (is_late(c, &end, bytes_of(iov, n)))
			return explain(c, -ETIMEDOUT, err);
	}
	return 0;
}

int channel_send(struct channel *c, const void *data, size_t n,
		 struct error *err)
{
	struct iovec iov = { (void *)(uintptr_t)data, n };

	return channel_sendv(c, &iov, 1, err);
}

long channel_send_some(struct channel *c, const void *data, size_t n,
		       struct error *err)
{
	struct iovec iov = { (void *)(uintptr_t)data, n };
	ssize_t done = n ? send_once(c, &iov, 1, false) : 0;

	return done < 0 ? explain(c, done, err) : done;
}

long channel_recv_some(struct channel *c, void *data, size_t max, bool wait,
		       struct error *err)
{
	ssize_t n = recv_once(c, data, max, wait);

	return n < 0 ? explain(c, n, err) : n;
}

int channel_recv(struct channel *c, void *data, size_t n, struct error *err)
{
	char *p = data;
	uint64_t end = 0;

	while (n) {
		ssize_t got = recv_once(c, p, n, true);

		if (got < 0)
			return explain(c, got, err);
		p += got;
		n -= (size_t)got;
		if (is_late(c, &end, n))
			return explain(c, -ETIMEDOUT, err);
	}
	return 0;
}

int channel_say(struct channel *c, const struct wire_msg *m,
		const void *payload, struct error *err)
{
	uint8_t header[WIRE_HEADER];
	struct iovec iov[2] = {
		{ header, WIRE_HEADER },
		{ (void *)(uintptr_t)payload, m->length },
	};

	wire_put(header, m);
	return channel_sendv(c, iov, 2, err);
}

int channel_hear(struct channel *c, struct wire_msg *m, struct error *err)
{
	uint8_t header[WIRE_HEADER];
	int rc = channel_recv(c, header, sizeof(header), err);

	return rc ? rc : wire_get(header, m, err);
}

int channel_hear_payload(struct channel *c, const struct wire_msg *m,
			 uint8_t **payload, struct error *err)
{
	uint8_t *data = malloc(m->length + 1);
	int rc = data ? channel_recv(c, data, m->length, err)
		      : error_set(err, ENOMEM, "out of memory for %s",
				  wire_name(m->type));

	if (rc) {
		free(data);
		data = NULL;
	} else {
		data[m->length] = 0;
	}
	*payload = data;
	return rc;
}

/* The peer's text is shown to a person: keep it one line of printable ASCII */
static void make_printable(uint8_t *text, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
}

static int hear_text(struct channel *c, const struct wire_msg *m,
		     const char *what, struct error *err)
{
	uint8_t *text;
	int rc = channel_hear_payload(c, m, &text, err);

	if (rc)
		return rc;
	make_printable(text, m->length);
	rc = error_set(err, ECONNREFUSED, "%s: %s", what, (char *)text);
	free(text);
	return rc;
}

int channel_hear_refusal(struct channel *c, const struct wire_msg *m,
			 struct error *err)
{
	return hear_text(c, m, "the other side refused", err);
}

int channel_hear_end(struct channel *c, const struct wire_msg *m,
		     struct error *err)
{
	return hear_text(c, m, "the guest has ended at the destination", err);
}

int channel_expect(struct channel *c, enum wire_type type, uint8_t **payload,
		   uint32_t *length, struct error *err)
{
	struct wire_msg m;
	uint8_t *data;
	int rc = channel_hear(c, &m, err);

	if (!rc && m.type == WIRE_MSG_REFUSE)
		return channel_hear_refusal(c, &m, err);
	if (!rc && m.type != type)
		rc = error_set(err, EBADMSG,
			"the peer sent %s where %s belongs",
			wire_name(m.type), wire_name(type));
	if (!rc)
		rc = channel_hear_payload(c, &m, &data, err);
	if (rc)
		return rc;
	if (length)
		*length = m.length;
	if (payload)
		*payload = data;
	else
		free(data);
	return 0;
}

void channel_refuse(struct channel *c, const struct error *why)
{
	struct wire_msg m = { .type = WIRE_MSG_REFUSE };

	m.length = (uint32_t)strnlen(why->text, WIRE_TEXT_MAX);
	if (c->ops && m.length)
		channel_say(c, &m, why->text, NULL);
}
