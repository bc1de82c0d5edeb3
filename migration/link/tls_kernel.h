/* SPDX-License-Identifier: MIT */
/*
 * tls_kernel.h - Records that the kernel encrypts (private to channel_tls.c)
 *
 * Documentation/networking/tls.rst of the kernel. After the handshake the
 * socket is given the session's keys; sendmsg(2) and recvmsg(2) then take and
 * give what is in the records, and user space encrypts nothing.
 *
 * The kernel changes no key (before Linux 6.14), so tls_kernel_sendv() ends the
 * connection when its key has encrypted all that it may, and the session opens
 * another one. A peer whose GnuTLS changes its key ends it as well.
 */
#ifndef FERRY_TLS_KERNEL_H
#define FERRY_TLS_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <gnutls/gnutls.h>

struct iovec;

/* Records that one key encrypts, as GnuTLS has it for AES-GCM: 2^24.5 is the
 * limit (RFC 8446, 5.5)
 */
#define TLS_KERNEL_RECORDS	(1u << 24)

/**
 * tls_kernel_start() - Let the kernel encrypt and decrypt from now on
 * @fd:		the socket; what comes next on it is the session's next record
 * @session:	after its handshake, TLS 1.3; it must not be used any more
 *		except to ask about the handshake
 *
 * Return: 1; 0: this kernel or this kind of socket can't (nothing has changed);
 *	   -errno: it failed half way, and the connection is of no use
 */
int tls_kernel_start(int fd, gnutls_session_t session);

/**
 * tls_kernel_recv() - Receive without waiting
 * @fd:		the socket
 * @data:	where to
 * @max:	room, bytes
 * @alert:	set to the alert (RFC 8446, 6) if the peer sent one that is an
 *		error
 *
 * Return: bytes; 0: there is nothing; -EPIPE: the peer has closed it;
 *	   -EACCES: @alert is set; -EKEYEXPIRED: the peer changes its key;
 *	   -EBADMSG: a record was changed on its way; -errno
 */
ssize_t tls_kernel_recv(int fd, void *data, size_t max, int *alert);

/**
 * tls_kernel_sendv() - Send without waiting
 * @fd:		the socket
 * @iov, @n:	what
 * @records:	sent by this key so far; updated
 *
 * Return: bytes; 0: the socket takes nothing now; -EKEYEXPIRED: the key has
 *	   encrypted TLS_KERNEL_RECORDS; -errno
 */
ssize_t tls_kernel_sendv(int fd, const struct iovec *iov, size_t n,
			 unsigned *records);

/** tls_kernel_end() - Send close_notify, if the socket takes it */
void tls_kernel_end(int fd);

#endif /* FERRY_TLS_KERNEL_H */
