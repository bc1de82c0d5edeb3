// SPDX-License-Identifier: MIT
/* tls_kernel.c - Records that the kernel encrypts */

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "tls_kernel.h"
#include "tls_private.h"
#include "vmm/base/units.h"

#ifndef SOL_TLS
#define SOL_TLS			282
#endif
#ifndef TLS_RX_EXPECT_NO_PAD	/* Linux 6.0 */
#define TLS_RX_EXPECT_NO_PAD	4
#endif

/* Content types of records, and alerts (RFC 8446, 5.1 and 6) */
#define TYPE_ALERT		21
#define TYPE_DATA		23
#define ALERT_WARNING		1
#define ALERT_CLOSE_NOTIFY	0

/* What setsockopt(2) wants of each cipher: the same, in other places */
union keys {
	struct tls_crypto_info info;
	struct tls12_crypto_info_aes_gcm_128 aes_128;
	struct tls12_crypto_info_aes_gcm_256 aes_256;
	struct tls12_crypto_info_chacha20_poly1305 chacha;
};

#define PLACE(m)	offsetof(union keys, m), \
			sizeof(((union keys *)NULL)->m)
#define CIPHER(id, type, m)						\
	{ id, type, sizeof(((union keys *)NULL)->m), PLACE(m.key),	\
	  PLACE(m.salt), PLACE(m.iv), PLACE(m.rec_seq) }

static const struct cipher {
	gnutls_cipher_algorithm_t id;
	uint16_t type;
	socklen_t size;
	size_t key, key_size, salt, salt_size, iv, iv_size, seq, seq_size;
} ciphers[] = {
	CIPHER(GNUTLS_CIPHER_AES_128_GCM, TLS_CIPHER_AES_GCM_128, aes_128),
	CIPHER(GNUTLS_CIPHER_AES_256_GCM, TLS_CIPHER_AES_GCM_256, aes_256),
	CIPHER(GNUTLS_CIPHER_CHACHA20_POLY1305, TLS_CIPHER_CHACHA20_POLY1305,
	       chacha),
};

/* Of one direction: what GnuTLS tells */
struct state {
	gnutls_datum_t mac, iv, key;
	uint8_t seq[8];
};

/* Return: bytes of @k that are set, 0 for a cipher that is not known here */
static socklen_t fill_keys(union keys *k, const struct state *s,
			   gnutls_cipher_algorithm_t id)
{
	const struct cipher *c = ciphers;
	uint8_t *to = (uint8_t *)k;

	while (c < ciphers + ARRAY_SIZE(ciphers) && c->id != id)
		c++;
	if (c == ciphers + ARRAY_SIZE(ciphers) || s->key.size != c->key_size ||
	    s->iv.size != c->salt_size + c->iv_size ||
	    sizeof(s->seq) != c->seq_size)
		return 0;
	k->info.version = TLS_1_3_VERSION;
	k->info.cipher_type = c->type;
	memcpy(to + c->key, s->key.data, c->key_size);
	/* The nonce (RFC 8446, 5.3) is salt and iv together */
	memcpy(to + c->salt, s->iv.data, c->salt_size);
	memcpy(to + c->iv, s->iv.data + c->salt_size, c->iv_size);
	memcpy(to + c->seq, s->seq, c->seq_size);
	return c->size;
}

/* Return: 0, -errno */
static int give_keys(int fd, gnutls_session_t session, bool receive)
{
	union keys k = { .info.version = 0 };
	struct state s = { .seq = { 0 } };
	socklen_t n;
	int rc = 0;

	if (gnutls_record_get_state(session, receive, &s.mac, &s.iv, &s.key,
				    s.seq))
		return -EINVAL;
	n = fill_keys(&k, &s, gnutls_cipher_get(session));
	if (!n || setsockopt(fd, SOL_TLS, receive ? TLS_RX : TLS_TX, &k, n))
		rc = n ? -errno : -ENOTSUP;
	explicit_bzero(&k, sizeof(k));
	return rc;
}

int tls_kernel_start(int fd, gnutls_session_t session)
{
	const int one = 1;
	int rc;

	/* Not a TCP socket, or no module "tls" that is loaded or may be */
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")))
		return 0;
	/* Until it has keys such a socket is as it was */
	if (give_keys(fd, session, true))
		return 0;
	rc = give_keys(fd, session, false);
	/* Neither GnuTLS nor the kernel pads: no look behind each record */
	setsockopt(fd, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &one, sizeof(one));
	return rc ? rc : 1;
}

/* Room for the type of one record */
union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(uint8_t))];
};

static uint8_t record_type(struct msghdr *mh)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(mh);

	return c && c->cmsg_level == SOL_TLS &&
	       c->cmsg_type == TLS_GET_RECORD_TYPE ? *CMSG_DATA(c) : TYPE_DATA;
}

/* A record that has no data: an alert, or a message of the handshake */
static ssize_t other_record(uint8_t type, const uint8_t *data, size_t n,
			    int *alert)
{
	if (type != TYPE_ALERT)
		return -EKEYEXPIRED;
	/* Where only its first byte fits: the one warning is close_notify */
	*alert = n > 1 ? data[1] : *data == ALERT_WARNING
		? ALERT_CLOSE_NOTIFY : GNUTLS_A_INTERNAL_ERROR;
	return *alert == ALERT_CLOSE_NOTIFY ? -EPIPE : -EACCES;
}

ssize_t tls_kernel_recv(int fd, void *data, size_t max, int *alert)
{
	struct iovec iov = { data, max };
	union control control;
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	uint8_t type;
	ssize_t n;

	do
		n = recvmsg(fd, &mh, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	if (!n)
		return -EPIPE;
	type = record_type(&mh);
	return type == TYPE_DATA ? n : other_record(type, data, (size_t)n,
						    alert);
}

ssize_t tls_kernel_sendv(int fd, const struct iovec *iov, size_t n,
			 unsigned *records)
{
	struct msghdr mh = { .msg_iov = (struct iovec *)(uintptr_t)iov,
			     .msg_iovlen = n };
	ssize_t done;

	if (*records >= TLS_KERNEL_RECORDS)
		return -EKEYEXPIRED;
	do
		done = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (done < 0 && errno == EINTR);
	if (done < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	*records += (unsigned)(((size_t)done + TLS_RECORD - 1) / TLS_RECORD);
	return done;
}

void tls_kernel_end(int fd)
{
	uint8_t alert[] = { ALERT_WARNING, ALERT_CLOSE_NOTIFY };
	struct iovec iov = { alert, sizeof(alert) };
	union control control = { .space = { 0 } };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	control.header = (struct cmsghdr){
		.cmsg_level = SOL_TLS, .cmsg_type = TLS_SET_RECORD_TYPE,
		.cmsg_len = CMSG_LEN(sizeof(uint8_t)),
	};
	*CMSG_DATA(&control.header) = TYPE_ALERT;
	sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
}
