// SPDX-License-Identifier: MIT
/* channel_tls.c - Channels over TLS 1.3 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#include "channel_fault.h"
#include "channel_tls.h"
#include "tls_kernel.h"
#include "tls_private.h"

#define RECORD_HEADER	5
#define RECORD_MAX	(RECORD_HEADER + TLS_RECORD + 256)
#define IN_GREETING	(18u << 10)	/* a record and more */
#define IN_READY	(128u << 10)
#define HANDSHAKE_MAX	(32u << 10)	/* bytes of a handshake message */
#define TYPE_FIRST	20		/* content types of records */
#define TYPE_LAST	23
#define LOOK_MS		100

/* 128 bits: the page path is limited by the cipher's speed */
#define PRIORITY	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:" \
			"+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"
#define PRIORITY_PSK	PRIORITY ":-KX-ALL:+ECDHE-PSK:+DHE-PSK"

/*
 * @under:	the channel over the socket
 * @lock:	protects all below but @kernel and @records
 * @kernel:	the kernel encrypts and decrypts since the handshake: of what
 *		@lock protects only @why is used any more
 * @records:	how many were sent, if @kernel
 * @unsent:	the socket has not taken GnuTLS's last record whole
 * @in:		@size bytes: from the socket, between @from and @to
 * @record:	bytes of the record that GnuTLS is reading, in @in
 * @ready:	the handshake is complete
 * @alien:	the peer's first bytes are no TLS
 * @error:	errno of the last call on the socket that failed
 * @exporter:	names this connection, for tls_bind()
 * @peer:	for tls_peer()
 * @gather:	a record from several places
 * @why:	what ended the connection, if it was not a close
 */
struct tls_end {
	struct channel under;
	struct tls *tls;
	char host[TLS_HOSTNAME];
	gnutls_typed_vdata_st vdata[2];
	gnutls_session_t session;
	_Atomic unsigned ms;
	pthread_mutex_t lock;
	size_t from, to, size, record;
	uint8_t *in, *gather;
	bool ready, alien, unsent, kernel;
	unsigned records;
	int error;
	uint8_t exporter[CHANNEL_BINDING], peer[CHANNEL_BINDING];
	char why[TLS_REASON];
};

/* Bytes of the record that begins with this header */
static size_t record_size(const uint8_t *header)
{
	return RECORD_HEADER + (size_t)(header[3] << 8 | header[4]);
}

/*
 * How many bytes to read from the socket. During the handshake no more than the
 * record needs, so that the kernel can read what follows it (tls_kernel.h)
 */
static size_t wanted(const struct tls_end *e)
{
	const uint8_t *p = e->in + e->from;
	size_t have = e->to - e->from;

	if (e->ready)
		return e->size - e->to;
	return (have < RECORD_HEADER ? RECORD_HEADER : record_size(p)) - have;
}

/* Make room, and read what the socket has. Return: as recv(2) */
static ssize_t fill(struct tls_end *e)
{
	ssize_t n;

	if (e->from == e->to)
		e->from = e->to = 0;
	if (e->size - e->from < RECORD_MAX) {
		memmove(e->in, e->in + e->from, e->to - e->from);
		e->to -= e->from;
		e->from = 0;
	}
	do
		n = recv(e->under.fd, e->in + e->to, wanted(e), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	e->to += n > 0 ? (size_t)n : 0;
	return n;
}

/*
 * Bytes of the record at the start of the buffer, if it is there whole. What
 * can't be a record is given to GnuTLS as it is, which refuses it.
 */
static size_t whole_record(const struct tls_end *e)
{
	const uint8_t *p = e->in + e->from;
	size_t have = e->to - e->from, n;

	if (have && (p[0] < TYPE_FIRST || p[0] > TYPE_LAST))
		return have;
	if (have < RECORD_HEADER)
		return 0;
	n = record_size(p);
	if (n > RECORD_MAX)
		return have;
	return have >= n ? n : 0;
}

static ssize_t pull_failed(struct tls_end *e, int code)
{
	e->error = code;
	gnutls_transport_set_errno(e->session, code);
	return -1;
}

static bool is_alien(const struct tls_end *e)
{
	uint8_t type = e->in[e->from];

	return !e->ready && (type < TYPE_FIRST || type > TYPE_LAST);
}

/* GnuTLS reads. It gets whole records only, so that it keeps no part of one */
static ssize_t tls_pull(gnutls_transport_ptr_t ctx, void *data, size_t max)
{
	struct tls_end *e = ctx;

	while (!e->record && !(e->record = whole_record(e))) {
		ssize_t n = fill(e);

		if (n < 0)
			return pull_failed(e, errno == EWOULDBLOCK ? EAGAIN
								   : errno);
		if (!n)
			return 0;
		e->alien = is_alien(e);
		if (e->alien)
			return pull_failed(e, EPROTO);
	}
	if (max > e->record)
		max = e->record;
	memcpy(data, e->in + e->from, max);
	e->from += max;
	e->record -= max;
	return (ssize_t)max;
}

/* GnuTLS writes. giovec_t is struct iovec */
static ssize_t tls_push(gnutls_transport_ptr_t ctx, const giovec_t *iov,
			int n)
{
	struct tls_end *e = ctx;
	struct msghdr mh = { .msg_iov = (struct iovec *)(uintptr_t)iov,
			     .msg_iovlen = (size_t)n };
	ssize_t done;

	do
		done = sendmsg(e->under.fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (done < 0 && errno == EINTR);
	return done >= 0 ? done
			 : pull_failed(e, errno == EWOULDBLOCK ? EAGAIN
							       : errno);
}

/* What a call of GnuTLS returned, as the ops return it; @e->lock is held */
static ssize_t tls_result(struct tls_end *e, ssize_t rc)
{
	switch (rc) {
	case GNUTLS_E_AGAIN:
		return 0;
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PUSH_ERROR:
		return -(e->error ? e->error : EPIPE);
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_SESSION_EOF:
	case GNUTLS_E_INVALID_SESSION:
		return -EPIPE;
	default:
		tls_explain(e->tls, e->session, (int)rc,
			    e->host[0] ? e->host : NULL, e->why);
		return -EACCES;
	}
}

static bool is_warning(ssize_t rc)
{
	return rc == GNUTLS_E_INTERRUPTED ||
	       rc == GNUTLS_E_WARNING_ALERT_RECEIVED;
}

/* The thread that sends may fail at the same time: the first one says why */
static ssize_t kernel_failed(struct tls_end *e, const char *why)
{
	pthread_mutex_lock(&e->lock);
	if (!e->why[0])
		strcpy(e->why, why);
	pthread_mutex_unlock(&e->lock);
	return -EACCES;
}

static ssize_t kernel_recv(struct tls_end *e, void *data, size_t max)
{
	int alert = 0;
	ssize_t n = tls_kernel_recv(e->under.fd, data, max, &alert);
	char why[TLS_REASON];

	if (n == -EACCES)
		tls_explain_alert(e->tls, alert, why);
	else if (n == -EBADMSG)
		strcpy(why, "TLS: a record was changed on its way");
	else if (n == -EKEYEXPIRED)
		strcpy(why, "TLS: the other side changes its key, which this kernel can't");
	else
		return n;
	return kernel_failed(e, why);
}

static ssize_t recv_now(struct tls_end *e, void *data, size_t max)
{
	ssize_t n;

	if (e->kernel)
		return kernel_recv(e, data, max);
	pthread_mutex_lock(&e->lock);
	do
		n = gnutls_record_recv(e->session, data, max);
	while (is_warning(n));
	if (n < 0)
		n = tls_result(e, n);
	else if (!n)
		n = -EPIPE;	/* close_notify */
	pthread_mutex_unlock(&e->lock);
	return n;
}

/* What is to be sent, and how far a call has come */
struct gather {
	const struct iovec *iov;
	size_t n, at;		/* places left, bytes used of the first */
};

static void gather_skip(struct gather *g, size_t bytes)
{
	while (g->n && bytes >= g->iov->iov_len - g->at) {
		bytes -= g->iov->iov_len - g->at;
		g->iov++;
		g->n--;
		g->at = 0;
	}
	g->at += bytes;
}

/*
 * The next record: from where it is, if one place has all of it; else copied,
 * because each header on its own would be a record, and a packet. Return: bytes
 */
static size_t gather_record(struct gather g, uint8_t *copy,
			    const uint8_t **data)
{
	size_t have = 0;

	gather_skip(&g, 0);
	*data = copy;
	if (g.n && g.iov->iov_len - g.at >= TLS_RECORD) {
		*data = (const uint8_t *)g.iov->iov_base + g.at;
		return TLS_RECORD;
	}
	while (g.n && have < TLS_RECORD) {
		size_t k = g.iov->iov_len - g.at;

		if (k > TLS_RECORD - have)
			k = TLS_RECORD - have;
		memcpy(copy + have, (const uint8_t *)g.iov->iov_base + g.at, k);
		have += k;
		gather_skip(&g, k);
	}
	return have;
}

static ssize_t kernel_send(struct tls_end *e, const struct iovec *iov,
			   size_t n)
{
	ssize_t done = tls_kernel_sendv(e->under.fd, iov, n, &e->records);

	return done != -EKEYEXPIRED ? done : kernel_failed(e,
		"TLS: the key of this connection has encrypted as much as it may");
}

static ssize_t send_now(struct tls_end *e, const struct iovec *iov, size_t n)
{
	struct gather g = { .iov = iov, .n = n };
	const uint8_t *data = NULL;
	ssize_t rc = 0, done = 0;
	size_t k;

	if (e->kernel)
		return kernel_send(e, iov, n);
	pthread_mutex_lock(&e->lock);
	do {
		/* NULL: go on with the record that GnuTLS has */
		k = e->unsent ? 0 : gather_record(g, e->gather, &data);
		if (!k && !e->unsent)
			break;
		do
			rc = gnutls_record_send(e->session, k ? data : NULL, k);
		while (is_warning(rc));
		e->unsent = rc == GNUTLS_E_AGAIN;
		if (rc > 0) {
			done += rc;
			gather_skip(&g, (size_t)rc);
		}
	} while (rc > 0);
	/* An error that comes after some bytes comes again */
	if (rc < 0 && !done)
		done = tls_result(e, rc);
	pthread_mutex_unlock(&e->lock);
	return done;
}

/* Wait until the socket is ready, for what is left of the limit of silence */
static int wait_ready(const struct tls_end *e, short events, uint64_t start)
{
	struct pollfd p = { .fd = e->under.fd, .events = events };
	uint64_t spent = (now_ns() - start) / 1000000;

	if (e->ms && spent >= e->ms)
		return -ETIMEDOUT;
	poll(&p, 1, e->ms ? (int)(e->ms - spent) + 1 : -1);
	return 0;
}

static ssize_t tls_recv(struct channel *c, void *data, size_t max, bool wait)
{
	uint64_t start = wait ? now_ns() : 0;
	struct tls_end *e = c->ctx;
	ssize_t n;

	while (!(n = recv_now(e, data, max)) && wait) {
		n = wait_ready(e, POLLIN, start);
		if (n)
			break;
	}
	return n;
}

static ssize_t tls_sendv(struct channel *c, const struct iovec *iov, size_t n,
			 bool wait)
{
	uint64_t start = wait ? now_ns() : 0;
	struct tls_end *e = c->ctx;
	ssize_t done;

	while (!(done = send_now(e, iov, n)) && wait) {
		done = wait_ready(e, POLLOUT, start);
		if (done)
			break;
	}
	return done;
}

static bool tls_pending(const struct channel *c)
{
	struct tls_end *e = c->ctx;
	bool pending;

	if (e->kernel)
		return false;
	pthread_mutex_lock(&e->lock);
	pending = e->ready && (gnutls_record_check_pending(e->session) ||
			       e->record || whole_record(e));
	pthread_mutex_unlock(&e->lock);
	return pending;
}

static bool tls_ended(const struct channel *c)
{
	const struct tls_end *e = c->ctx;

	return channel_ended(&e->under);
}

static void tls_timeout(struct channel *c, unsigned ms)
{
	struct tls_end *e = c->ctx;

	e->ms = ms;
}

static void tls_shut_in(struct channel *c)
{
	struct tls_end *e = c->ctx;

	channel_shut_in(&e->under);
}

static void tls_shut(struct channel *c)
{
	struct tls_end *e = c->ctx;

	channel_shut(&e->under);
}

static void end_free(struct tls_end *e)
{
	if (e->session)
		gnutls_deinit(e->session);
	pthread_mutex_destroy(&e->lock);
	tls_unref(e->tls);
	free(e->in);
	free(e->gather);
	free(e);
}

static void tls_close(struct channel *c)
{
	struct tls_end *e = c->ctx;

	/* close_notify, if the socket takes it */
	if (e->kernel)
		tls_kernel_end(e->under.fd);
	else if (e->ready)
		gnutls_bye(e->session, GNUTLS_SHUT_WR);
	channel_close(&e->under);
	end_free(e);
}

static const char *tls_why(const struct channel *c)
{
	const struct tls_end *e = c->ctx;

	return e->why[0] ? e->why : NULL;
}

static void tls_bind(const struct channel *c, const void *secret, size_t n,
		     uint8_t *out)
{
	const struct tls_end *e = c->ctx;

	gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, n, e->exporter,
			 CHANNEL_BINDING, out);
}

static void tls_peer(const struct channel *c, uint8_t *out)
{
	const struct tls_end *e = c->ctx;

	memcpy(out, e->peer, CHANNEL_BINDING);
}

static const struct channel_ops tls_ops = {
	.recv		= tls_recv,
	.sendv		= tls_sendv,
	.pending	= tls_pending,
	.ended		= tls_ended,
	.timeout	= tls_timeout,
	.shut_in	= tls_shut_in,
	.shut		= tls_shut,
	.close		= tls_close,
	.why		= tls_why,
	.bind		= tls_bind,
	.peer		= tls_peer,
};

/* What the peer's certificate must be; the type of the first is the host's */
static void set_verification(struct tls_end *e)
{
	bool source = e->tls->side == TLS_SOURCE;

	e->vdata[0] = (gnutls_typed_vdata_st){
		.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)(uintptr_t)(source
			? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT),
	};
	e->vdata[1] = (gnutls_typed_vdata_st){
		.type = GNUTLS_DT_DNS_HOSTNAME,
		.data = (unsigned char *)e->host,
	};
	gnutls_session_set_verify_cert2(e->session, e->vdata, source ? 2 : 1,
					0);
	if (!source)
		gnutls_certificate_server_set_request(e->session,
						      GNUTLS_CERT_REQUIRE);
}

static int set_credentials(struct tls_end *e)
{
	const struct tls *t = e->tls;
	int rc = gnutls_priority_set_direct(e->session, t->psk ? PRIORITY_PSK
							: PRIORITY, NULL);

	if (rc)
		return rc;
	if (!t->psk) {
		set_verification(e);
		return gnutls_credentials_set(e->session,
					      GNUTLS_CRD_CERTIFICATE,
					      t->certificates);
	}
	return t->side == TLS_SOURCE
		? gnutls_credentials_set(e->session, GNUTLS_CRD_PSK,
					 t->keys.client)
		: gnutls_credentials_set(e->session, GNUTLS_CRD_PSK,
					 t->keys.server);
}

static int session_start(struct tls_end *e)
{
	int rc = gnutls_init(&e->session, GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
			     GNUTLS_NO_TICKETS |
			     (e->tls->side == TLS_SOURCE ? GNUTLS_CLIENT
							 : GNUTLS_SERVER));

	if (rc)
		return rc;
	rc = set_credentials(e);
	/* Some servers of many names choose their certificate by it */
	if (!rc && e->host[0] && !strchr(e->host, ':') &&
	    strspn(e->host, "0123456789.") != strlen(e->host))
		rc = gnutls_server_name_set(e->session, GNUTLS_NAME_DNS,
					    e->host, strlen(e->host));
	gnutls_handshake_set_max_packet_length(e->session, HANDSHAKE_MAX);
	gnutls_transport_set_ptr(e->session, e);
	gnutls_transport_set_pull_function(e->session, tls_pull);
	gnutls_transport_set_vec_push_function(e->session, tls_push);
	return rc;
}

int tls_channel(struct channel *c, struct tls *t, const char *host,
		struct error *err)
{
	struct tls_end *e = calloc(1, sizeof(*e));
	int rc;

	if (!e)
		return error_set(err, ENOMEM, "TLS: out of memory");
	pthread_mutex_init(&e->lock, NULL);
	e->tls = tls_ref(t);
	e->in = malloc(IN_GREETING);
	e->gather = malloc(TLS_RECORD);
	e->size = IN_GREETING;
	strncpy(e->host, host ? host : "", sizeof(e->host) - 1);
	rc = e->in && e->gather ? session_start(e) : GNUTLS_E_MEMORY_ERROR;
	if (rc) {
		end_free(e);
		return error_set(err, rc == GNUTLS_E_MEMORY_ERROR ? ENOMEM
							: EINVAL,
				 "TLS: %s", gnutls_strerror(rc));
	}
	e->under = *c;
	e->ms = c->silence_ms;
	*c = (struct channel){ .ops = &tls_ops, .fd = e->under.fd, .ctx = e,
			       .silence_ms = e->ms };
	return 0;
}

/* A digest of the peer's certificate, or of the name of its key */
static int get_peer(struct tls_end *e)
{
	const gnutls_datum_t *cert;
	const char *name;
	unsigned n = 0;

	if (!e->tls->psk) {
		cert = gnutls_certificate_get_peers(e->session, &n);
		return cert && n ? gnutls_hash_fast(GNUTLS_DIG_SHA256,
						    cert->data, cert->size,
						    e->peer)
				 : GNUTLS_E_NO_CERTIFICATE_FOUND;
	}
	/* On a source GnuTLS does not know the name of the destination */
	name = e->tls->side == TLS_DESTINATION
		? gnutls_psk_server_get_username(e->session) : "";
	return name ? gnutls_hash_fast(GNUTLS_DIG_SHA256, name, strlen(name),
				       e->peer)
		    : GNUTLS_E_INSUFFICIENT_CREDENTIALS;
}

/*
 * After the handshake: hand the socket's records to the kernel, if it can
 * encrypt; else make the buffer large. Return: 0, or an error code of GnuTLS
 */
static int start_records(struct tls_end *e)
{
	uint8_t *in;
	int rc = e->from == e->to && !e->record
		? tls_kernel_start(e->under.fd, e->session) : 0;

	if (rc < 0) {
		e->error = -rc;
		return GNUTLS_E_PUSH_ERROR;
	}
	e->kernel = rc;
	if (e->kernel)
		return 0;
	in = realloc(e->in, IN_READY);
	if (!in)
		return GNUTLS_E_MEMORY_ERROR;
	e->in = in;
	e->size = IN_READY;
	return 0;
}

/* The handshake is complete: remember the peer, and the channel's name */
static int finish(struct tls_end *e)
{
	gnutls_credentials_type_t wanted = e->tls->psk
		? GNUTLS_CRD_PSK : GNUTLS_CRD_CERTIFICATE;
	gnutls_datum_t exporter = { 0 };
	int rc;

	if (gnutls_auth_get_type(e->session) != wanted)
		return GNUTLS_E_INSUFFICIENT_CREDENTIALS;
	rc = gnutls_session_channel_binding(e->session,
					    GNUTLS_CB_TLS_EXPORTER, &exporter);
	if (!rc && exporter.size == CHANNEL_BINDING)
		memcpy(e->exporter, exporter.data, CHANNEL_BINDING);
	else
		rc = rc ? rc : GNUTLS_E_INTERNAL_ERROR;
	gnutls_free(exporter.data);
	if (!rc)
		rc = get_peer(e);
	if (!rc)
		rc = start_records(e);
	e->ready = !rc;
	return rc;
}

static int handshake_failed(struct tls_end *e, int rc, struct error *err)
{
	int code = (int)tls_result(e, rc);

	if (!e->alien)
		tls_alert(e->session, rc);
	if (e->alien)
		return error_set(err, EPROTO,
			"the %s does not speak TLS here (tcp: instead of tls:?)",
			e->tls->side == TLS_SOURCE ? "destination" : "source");
	if (code == -EPIPE)
		return error_set(err, EPIPE,
			"the other side closed the connection during the TLS handshake");
	if (e->why[0])
		return error_set(err, -code, "%s", e->why);
	return error_set(err, -code, "TLS handshake: %s",
			 strerrordesc_np(-code));
}

int tls_handshake(struct channel *c, struct error *err)
{
	struct tls_end *e = c->ctx;
	int rc;

	pthread_mutex_lock(&e->lock);
	do
		rc = gnutls_handshake(e->session);
	while (is_warning(rc) ||
	       (rc < 0 && rc != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(rc)));
	if (!rc)
		rc = finish(e);
	if (rc == GNUTLS_E_AGAIN)
		rc = -EAGAIN;
	else if (rc)
		rc = handshake_failed(e, rc, err);
	pthread_mutex_unlock(&e->lock);
	if (!rc)
		channel_fault_wrap(c);
	return rc;
}

short tls_poll_events(const struct channel *c)
{
	const struct tls_end *e = c->ctx;

	return gnutls_record_get_direction(e->session) ? POLLOUT : POLLIN;
}

void tls_send_plain(const struct channel *c, const void *data, size_t n)
{
	struct tls_end *e = c->ctx;

	if (e->alien)
		channel_send_some(&e->under, data, n, NULL);
}

int tls_connect(struct channel *c, struct tls *t, const char *host,
		const struct socket_wait *w, struct error *err)
{
	uint64_t end = ns_after(w->ms);
	int rc = tls_channel(c, t, host, err);

	while (!rc && (rc = tls_handshake(c, err)) == -EAGAIN) {
		struct pollfd p = { .fd = c->fd, .events = tls_poll_events(c) };

		rc = 0;
		if (w->stop(w->ctx))
			return error_set(err, ECANCELED, "cancelled");
		if (now_ns() >= end)
			return error_set(err, ETIMEDOUT,
				"the destination has not completed the TLS handshake in time");
		poll(&p, 1, LOOK_MS);
	}
	return rc;
}
