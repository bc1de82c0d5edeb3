/* SPDX-License-Identifier: MIT */
/*
 * channel.h - A byte stream to the other side, with deadlines
 *
 * A channel is a struct of ops: channel_socket.c has those of sockets; TLS and
 * test channels (tests/unit/test_channel.h) are further implementations. The
 * functions here do what all of them have in common: whole buffers, messages,
 * deadlines.
 *
 * Every wait ends (invariant 9): by the peer's close, by a deadline, or because
 * another thread called channel_shut(). A channel is closed only by its owner,
 * after the threads that use it have ended, so that no thread uses a descriptor
 * number that belongs to another connection by then.
 *
 * A thread that waits for several things at once polls channel_poll_fd(). Bytes
 * may be buffered above the descriptor (TLS), where poll() does not see them:
 * the thread asks channel_pending() before each poll() and does not wait if it
 * is true; channel_poll_ms() does that.
 */
#ifndef FERRY_CHANNEL_H
#define FERRY_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "migration/wire/wire.h"
#include "vmm/base/clock.h"

struct iovec;
struct channel;

/**
 * struct channel_ops - What an implementation of a channel provides
 * @recv:	receive up to @max bytes, at least one. Without @wait: what is
 *		there. Return: bytes; 0 (only without @wait: nothing is there);
 *		-EPIPE (closed); -ETIMEDOUT (see @timeout); -errno
 * @sendv:	send some of the bytes, at least one. Return: as @recv
 * @pending:	true if bytes are buffered that poll() on the descriptor does
 *		not report; NULL for never
 * @ended:	true if the peer closed it, or it failed. Reads nothing
 * @timeout:	how long @recv and @sendv wait for one byte, ms; 0 for no limit
 * @shut_in:	end all waits of @recv, now and later; any thread
 * @shut:	end all waits, now and later; any thread
 * @close:	free it; called once
 * @why:	text of what has ended it, if that was no close; NULL for none
 * @bind:	channel_bind(), @n bytes of secret; NULL for zeroes
 * @peer:	channel_peer(); NULL for zeroes
 *
 * After @sendv has returned 0 or less than all, the next call begins with the
 * bytes that were not sent.
 */
struct channel_ops {
	ssize_t (*recv)(struct channel *c, void *data, size_t max, bool wait);
	ssize_t (*sendv)(struct channel *c, const struct iovec *iov, size_t n,
			 bool wait);
	bool (*pending)(const struct channel *c);
	bool (*ended)(const struct channel *c);
	void (*timeout)(struct channel *c, unsigned ms);
	void (*shut_in)(struct channel *c);
	void (*shut)(struct channel *c);
	void (*close)(struct channel *c);
	const char *(*why)(const struct channel *c);
	void (*bind)(const struct channel *c, const void *secret, size_t n,
		     uint8_t *out);
	void (*peer)(const struct channel *c, uint8_t *out);
};

#define CHANNEL_BINDING	32	/* bytes */

/**
 * struct channel - One connection; all zero is one that is not open
 * @ops:	its implementation, or NULL
 * @fd:		descriptor that poll() reports POLLIN and POLLOUT for
 * @ctx:	the implementation's
 * @silence_ms:	longest wait for one byte, ms; 0 for no limit
 * @watched:	waits look at @end_ns, which another thread may change
 * @end_ns:	when every wait ends, monotonic ns; 0 for never
 */
struct channel {
	const struct channel_ops *ops;
	int fd;
	void *ctx;
	unsigned silence_ms;
	bool watched;
	_Atomic uint64_t end_ns;
};

/** channel_is_open() - Was it opened, and not closed? */
static inline bool channel_is_open(const struct channel *c)
{
	return c->ops;
}

/* What a peer must transfer at least, bytes per second: a header or a payload
 * that takes longer is one of a peer that is not alive
 */
#define CHANNEL_RATE_MIN	16384u

/**
 * channel_set_silence() - Limit the wait for one byte
 * @c:		the channel, open
 * @ms:		ms without any progress, 0 for no limit
 *
 * From its first byte on, the rest of what channel_recv() or channel_sendv()
 * transfers has as long, and the time that its bytes take at CHANNEL_RATE_MIN:
 * single bytes are no progress.
 */
void channel_set_silence(struct channel *c, unsigned ms);

/**
 * channel_set_end() - Limit all waits together
 * @c:		the channel; its waits must be watched (@c->watched)
 * @ns:		monotonic time at which every wait ends, ns; 0 for none
 *
 * Any thread. A wait that is under way sees it within 100 ms.
 */
void channel_set_end(struct channel *c, uint64_t ns);

/**
 * channel_poll_fd() - The descriptor to poll for POLLIN
 * @c:		the channel
 *
 * Return: descriptor, -1 if it is not open
 */
int channel_poll_fd(const struct channel *c);

/** channel_pending() - Are bytes buffered that poll() does not report? */
bool channel_pending(const struct channel *c);

/**
 * channel_poll_ms() - How long poll() may wait
 * @c:		the channel
 * @ms:		how long it would wait, -1 for no limit
 *
 * Return: @ms; 0 if bytes are buffered: then act as if POLLIN were reported
 */
int channel_poll_ms(const struct channel *c, int ms);

/** channel_ended() - Has the peer closed it, or has the connection failed? */
bool channel_ended(const struct channel *c);

/**
 * channel_bind() - Prove that the sender of a HELLO knows a secret, and is at
 *		    the other end of this connection
 * @c:		the channel, open
 * @secret:	of the session
 * @n:		its bytes
 * @out:	CHANNEL_BINDING bytes: with TLS, HMAC-SHA-256 by @secret of the
 *		value tls-exporter (RFC 9266), which only the two ends of this
 *		connection know; else zeroes
 */
void channel_bind(const struct channel *c, const void *secret, size_t n,
		  uint8_t *out);

/**
 * channel_peer() - Who the other side has proved to be
 * @c:		the channel, open
 * @out:	CHANNEL_BINDING bytes: with TLS, SHA-256 of the peer's
 *		certificate or of the name of its key; else zeroes
 */
void channel_peer(const struct channel *c, uint8_t *out);

/** channel_shut() - End all waits on it, now and later; any thread */
void channel_shut(struct channel *c);

/** channel_shut_in() - End waits to receive; sending still works; any thread */
void channel_shut_in(struct channel *c);

/** channel_close() - Close it; fine on one that is not open */
void channel_close(struct channel *c);

/**
 * channel_send() - Send bytes, all of them
 * @c:		the channel
 * @data:	the bytes
 * @n:		how many
 * @err:	why not
 *
 * Return: 0, -EPIPE (the connection is gone), -ETIMEDOUT, -errno
 */
int channel_send(struct channel *c, const void *data, size_t n,
		 struct error *err);

/**
 * channel_send_some() - Send as many bytes as can be sent without waiting
 * @c:		the channel
 * @data:	the bytes
 * @n:		how many
 * @err:	why not
 *
 * For a thread that must not wait, because it is also the one that reads: it
 * keeps the rest and polls for POLLOUT.
 *
 * Return: bytes sent, 0 to @n; -EPIPE, -errno
 */
long channel_send_some(struct channel *c, const void *data, size_t n,
		       struct error *err);

/**
 * channel_sendv() - Send bytes from several places, all of them
 * @c:		the channel
 * @iov:	where they are; modified
 * @n:		how many places, at most IOV_MAX
 * @err:	why not
 *
 * Return: as channel_send()
 */
int channel_sendv(struct channel *c, struct iovec *iov, size_t n,
		  struct error *err);

/**
 * channel_recv() - Receive bytes, exactly as many
 * @c:		the channel
 * @data:	where to
 * @n:		how many
 * @err:	why not
 *
 * Return: as channel_send()
 */
int channel_recv(struct channel *c, void *data, size_t n, struct error *err);

/**
 * channel_recv_some() - Receive what is there, at least one byte
 * @c:		the channel
 * @data:	where to
 * @max:	room
 * @wait:	wait for it; else return 0 if there is nothing
 * @err:	why not
 *
 * Return: bytes received, or as channel_send()
 */
long channel_recv_some(struct channel *c, void *data, size_t max, bool wait,
		       struct error *err);

/**
 * channel_say() - Send a message
 * @c:		the channel
 * @m:		its header
 * @payload:	@m->length bytes
 * @err:	why not
 *
 * Return: as channel_send()
 */
int channel_say(struct channel *c, const struct wire_msg *m,
		const void *payload, struct error *err);

/**
 * channel_hear() - Receive the next message's header
 * @c:		the channel
 * @m:		filled in and checked
 * @err:	why not
 *
 * Return: as channel_send(), -EBADMSG
 */
int channel_hear(struct channel *c, struct wire_msg *m, struct error *err);

/**
 * channel_hear_payload() - Receive a message's payload
 * @c:		the channel
 * @m:		from channel_hear()
 * @payload:	set to @m->length bytes and a zero, to be freed; NULL on failure
 * @err:	why not
 *
 * Return: as channel_send(), -ENOMEM
 */
int channel_hear_payload(struct channel *c, const struct wire_msg *m,
			 uint8_t **payload, struct error *err);

/**
 * channel_hear_refusal() - Receive the payload of a REFUSE
 * @c:		the channel
 * @m:		from channel_hear(), of type WIRE_MSG_REFUSE
 * @err:	set to its text, as one line of printable ASCII
 *
 * Return: -ECONNREFUSED, or as channel_hear_payload()
 */
int channel_hear_refusal(struct channel *c, const struct wire_msg *m,
			 struct error *err);

/** channel_hear_end() - The same for the payload of an ENDED */
int channel_hear_end(struct channel *c, const struct wire_msg *m,
		     struct error *err);

/**
 * channel_expect() - Receive a message of one type, whole
 * @c:		the channel
 * @type:	which
 * @payload:	set to its payload, to be freed; NULL if it's not wanted
 * @length:	set to its length; NULL if it's not wanted
 * @err:	why not; if the peer sent REFUSE, its text
 *
 * Return: 0, -ECONNREFUSED (REFUSE), -EBADMSG (another message), -errno
 */
int channel_expect(struct channel *c, enum wire_type type, uint8_t **payload,
		   uint32_t *length, struct error *err);

/**
 * channel_refuse() - Send REFUSE; errors are ignored, the channel is shut next
 * @c:		the channel
 * @why:	what went wrong
 */
void channel_refuse(struct channel *c, const struct error *why);

#endif /* FERRY_CHANNEL_H */
