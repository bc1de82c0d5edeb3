/* SPDX-License-Identifier: MIT */
/*
 * channel_tls.h - Channels over TLS 1.3
 *
 * The session reads and writes its socket without blocking: a thread waits in
 * poll(2), never in GnuTLS. One lock for each channel is held while GnuTLS is
 * called, so that one thread may send while another receives, and GnuTLS may
 * change the keys meanwhile (it does after 2^24 records). channel_shut() takes
 * no lock.
 *
 * A record that the socket does not take whole is kept; the call then returns
 * as if its bytes had not been sent, and the next one must begin with the same
 * bytes. Every sender of a byte stream does that.
 *
 * Where the kernel can do it (tls_kernel.h), it encrypts and decrypts after the
 * handshake: GnuTLS and the lock are not used any more, and nothing waits here.
 *
 * Else bytes are read from the socket in larger pieces than a record, so bytes
 * may wait here that poll(2) does not report: channel_pending() is true if there
 * is a whole record.
 */
#ifndef FERRY_CHANNEL_TLS_H
#define FERRY_CHANNEL_TLS_H

#include "channel.h"
#include "socket.h"
#include "tls.h"

/* Memory that a peer may use before it has proved who it is: tls_channel()'s
 * buffer, and GnuTLS's session with the largest handshake message that is
 * accepted (test_channel_tls.c measures it)
 */
#define TLS_GREETING_BYTES	(256u << 10)

/**
 * tls_channel() - Make a connected socket's channel one over TLS
 * @c:		over a socket, not watched yet; unchanged after a failure
 * @t:		credentials
 * @host:	source: name that the destination's certificate must have; NULL
 *		on a destination
 * @err:	the cause of a failure
 *
 * Nothing is sent. tls_handshake() must succeed before anything else is done
 * with it, except channel_shut() and channel_close().
 *
 * Return: 0, -ENOMEM, -EINVAL
 */
int tls_channel(struct channel *c, struct tls *t, const char *host,
		struct error *err);

/**
 * tls_handshake() - Continue the handshake as far as is possible at once
 * @c:		from tls_channel()
 * @err:	the cause of a failure: what is wrong with which certificate
 *
 * Does not wait. The peer of a TLS 1.3 source may still refuse the source's
 * certificate after this has succeeded: the first receive says so.
 *
 * Return: 0: complete, the peer is who it claims to be. -EAGAIN: wait for
 *	   tls_poll_events(). -EPROTO: the peer does not speak TLS. -EPIPE
 *	   (closed), -EACCES (certificate, key), -errno
 */
int tls_handshake(struct channel *c, struct error *err);

/** tls_poll_events() - What poll(2) must wait for to continue a handshake */
short tls_poll_events(const struct channel *c);

/**
 * tls_send_plain() - Answer a peer that does not speak TLS
 * @c:		from tls_channel(), whose tls_handshake() has failed
 * @data, @n:	what to say to it
 *
 * Does nothing if the peer does. Does not wait.
 */
void tls_send_plain(const struct channel *c, const void *data, size_t n);

/**
 * tls_connect() - Do a source's whole handshake
 * @c:		over a socket; one over TLS afterwards
 * @t:		credentials
 * @host:	name that the destination's certificate must have
 * @w:		how long to wait, and what ends it
 * @err:	the cause of a failure
 *
 * Return: as tls_channel(), tls_handshake(); -ETIMEDOUT, -ECANCELED
 */
int tls_connect(struct channel *c, struct tls *t, const char *host,
		const struct socket_wait *w, struct error *err);

#endif /* FERRY_CHANNEL_TLS_H */
