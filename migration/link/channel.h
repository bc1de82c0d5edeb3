/* SPDX-License-Identifier: MIT */
/*
 * channel.h - A connection to the other side, blocking, with deadlines
 *
 * Every wait ends (invariant 9): by the peer's close, by the deadline, or
 * because another thread called channel_shut(). Descriptors are closed only by
 * their owner, after its threads have ended, so that none is used after
 * another connection got its number.
 */
#ifndef FERRY_CHANNEL_H
#define FERRY_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migration/wire/wire.h"

struct iovec;
struct uri;

/**
 * struct channel - One connection
 * @fd:		socket, or -1
 */
struct channel {
	int fd;
};

/**
 * channel_connect() - Connect
 * @c:		filled in
 * @u:		where to
 * @ms:		deadline, also of every later wait, ms
 * @cancel:	looked at now and then: give up when it is true
 * @err:	why not
 *
 * Return: 0, -ECANCELED, -ETIMEDOUT, -errno
 */
int channel_connect(struct channel *c, const struct uri *u, unsigned ms,
		    const _Atomic bool *cancel, struct error *err);

/**
 * channel_listen() - Wait for connections to come
 * @u:		where
 * @err:	why not
 *
 * A Unix socket's stale file is replaced.
 *
 * Return: listening socket, -errno
 */
int channel_listen(const struct uri *u, struct error *err);

/**
 * channel_accept() - Take the next connection
 * @c:		filled in
 * @fd:		from channel_listen()
 * @watch:	another connection whose end ends the wait, or -1
 * @wait_ms:	how long to wait for one, -1 for ever (shutdown() of @fd ends
 *		it)
 * @ms:		deadline of every later wait, ms
 * @err:	why not
 *
 * Return: 0, -ETIMEDOUT, -EPIPE (@watch has ended), -ECANCELED (the socket was
 *	   shut down), -errno
 */
int channel_accept(struct channel *c, int fd, int watch, int wait_ms,
		   unsigned ms, struct error *err);

/**
 * channel_deadline() - Change the deadline of waits
 * @c:		the channel
 * @ms:		ms without any progress, 0 for none
 */
void channel_deadline(struct channel *c, unsigned ms);

/** channel_ended() - Has the peer closed it, or the connection failed? */
bool channel_ended(const struct channel *c);

/** channel_shut() - End all waits on it, now and later; any thread */
void channel_shut(struct channel *c);

/** channel_shut_in() - End waits to receive; sending still works; any thread */
void channel_shut_in(struct channel *c);

/** channel_close() - Close it; fine on one that isn't open */
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
 * channel_sendv() - Send bytes from several places, all of them
 * @c:		the channel
 * @iov:	where they are; used up in the process
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
 * channel_send_some() - Send as many bytes as the socket takes; never wait
 * @c:		the channel
 * @data:	the bytes
 * @n:		how many
 * @err:	why not
 *
 * Return: bytes sent, 0 if the socket takes none now, or as channel_send()
 */
long channel_send_some(struct channel *c, const void *data, size_t n,
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
 * channel_refuse() - Tell the peer that it's over, and why; errors don't matter
 * @c:		the channel
 * @why:	what went wrong
 */
void channel_refuse(struct channel *c, const struct error *why);

#endif /* FERRY_CHANNEL_H */
