// SPDX-License-Identifier: MIT
/*
 * test_channel_tls.c - Channels over TLS: whole messages, deadlines, ends, and
 * whom they trust
 */

#include <malloc.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "migration/link/channel_tls.h"
#include "migration/link/greeter.h"
#include "migration/link/link.h"
#include "migration/link/tls_kernel.h"
#include "pki.h"
#include "unit.h"

#define HOST		"ferry.example"
#define LONG_NS		10000000000ull	/* what must happen happens earlier */
#define BIG		(3u << 20)
#define SAFE_MS		20000		/* so that a broken test ends */

#ifndef SOL_TLS
#define SOL_TLS		282
#endif

struct talk {
	struct tls *tls[2];
	struct channel c[2];	/* source, destination */
	struct error err[2];
	int rc[2];
};

static struct tls *load_from(const char *dir, enum tls_side side,
			     struct error *err)
{
	struct tls_config cfg = { 0 };

	strcpy(cfg.dir, dir);
	return tls_load(&cfg, side, err);
}

/* Sockets that the kernel can encrypt for, or ones that it can't */
static bool tcp;

static void tcp_pair(int *fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	const int small = 64 << 10;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* As a Unix socket: full before 1 MiB */
	setsockopt(l, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	assert_int_equal(bind(l, (void *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(l, (void *)&a, &n), 0);
	assert_int_equal(listen(l, 1), 0);
	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(fd[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	assert_int_equal(connect(fd[0], (void *)&a, n), 0);
	fd[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	assert_true(fd[1] >= 0);
	close(l);
}

static void socket_pair(struct channel *c)
{
	int fd[2];

	if (tcp)
		tcp_pair(fd);
	else
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	socket_channel(&c[0], fd[0]);
	socket_channel(&c[1], fd[1]);
}

/* Let both sides do what they can until each is done or has failed */
static void shake_hands(struct talk *t)
{
	t->rc[0] = t->rc[1] = -EAGAIN;
	for (unsigned turn = 0; turn < (tcp ? 50000 : 100); turn++) {
		for (unsigned i = 0; i < 2; i++)
			if (t->rc[i] == -EAGAIN)
				t->rc[i] = tls_handshake(&t->c[i],
							 &t->err[i]);
		if (t->rc[0] != -EAGAIN && t->rc[1] != -EAGAIN)
			break;
		if (tcp)
			usleep(100);
	}
}

/* Two ends with the files of two directories, after the handshake */
static struct talk *talk_between(const char *source, const char *dest,
				 const char *host)
{
	struct talk *t = calloc(1, sizeof(*t));
	struct error err = { 0 };

	assert_non_null(t);
	t->tls[0] = load_from(source, TLS_SOURCE, &err);
	if (!t->tls[0])
		fail_msg("%s", err.text);
	t->tls[1] = load_from(dest, TLS_DESTINATION, &err);
	if (!t->tls[1])
		fail_msg("%s", err.text);
	socket_pair(t->c);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(tls_channel(&t->c[i], t->tls[i],
					     i ? NULL : host, &err), 0);
	shake_hands(t);
	for (unsigned i = 0; i < 2; i++)
		channel_set_silence(&t->c[i], SAFE_MS);
	return t;
}

/* The socket's protocol has "tls" also where the kernel has taken no keys */
static bool is_by_kernel(const struct channel *c)
{
	struct tls_crypto_info info;
	socklen_t n = sizeof(info);

	return !getsockopt(c->fd, SOL_TLS, TLS_TX, &info, &n);
}

static struct talk *talk_new(const struct pki *p)
{
	struct talk *t = talk_between(p->dir, p->dir, HOST);

	if (t->rc[0] || t->rc[1])
		fail_msg("source: %s, destination: %s", t->err[0].text,
			 t->err[1].text);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(is_by_kernel(&t->c[i]), tcp);
	return t;
}

static void talk_free(struct talk *t)
{
	for (unsigned i = 0; i < 2; i++) {
		channel_close(&t->c[i]);
		tls_unref(t->tls[i]);
	}
	free(t);
}

static int setup(void **state)
{
	*state = pki_new();
	return 0;
}

static int teardown(void **state)
{
	pki_free(*state);
	return 0;
}

static uint8_t *make_bytes(void)
{
	uint8_t *data = malloc(BIG);

	assert_non_null(data);
	for (size_t i = 0; i < BIG; i++)
		data[i] = (uint8_t)(i * 13 + i / 251);
	return data;
}

/* The places of one sendv: small and large ones, some empty, as batches have */
static size_t make_places(uint8_t *data, struct iovec *iov, size_t max)
{
	static const size_t sizes[] = { 32, 262144, 32, 0, 4096, 16384, 1,
					16383, 40000 };
	size_t at = 0, n = 0;

	while (at < BIG && n < max) {
		size_t k = sizes[n % (sizeof(sizes) / sizeof(*sizes))];

		if (k > BIG - at || n == max - 1)
			k = BIG - at;
		iov[n++] = (struct iovec){ data + at, k };
		at += k;
	}
	return n;
}

struct speaker {
	struct channel *c;
	uint8_t *data;
	struct error err;
	int rc;
};

static void *speaker_main(void *arg)
{
	struct speaker *s = arg;
	struct iovec iov[100];

	s->rc = channel_sendv(s->c, iov, make_places(s->data, iov, 100),
			      &s->err);
	return NULL;
}

/* In pieces that are no multiple of anything */
static void hear_all(struct channel *c, const uint8_t *data)
{
	uint8_t *in = malloc(BIG);
	struct error err = { 0 };
	size_t have = 0;

	while (have < BIG) {
		size_t k = BIG - have < 10007 ? BIG - have : 10007;
		long n = channel_recv_some(c, in + have, k, true, &err);

		if (n <= 0)
			fail_msg("%s", err.text);
		have += (size_t)n;
	}
	assert_memory_equal(in, data, BIG);
	free(in);
}

/* Both directions at once, one thread for each direction at each end */
static void both_directions_at_once(void **state)
{
	uint8_t *data = make_bytes();

	for (unsigned watched = 0; watched < 2; watched++) {
		struct talk *t = talk_new(*state);
		struct speaker s[2] = {
			{ .c = &t->c[0], .data = data },
			{ .c = &t->c[1], .data = data },
		};
		pthread_t thread[2];

		t->c[0].watched = t->c[1].watched = watched;
		for (unsigned i = 0; i < 2; i++)
			pthread_create(&thread[i], NULL, speaker_main, &s[i]);
		/* No end is read yet: both fill their sockets */
		usleep(20000);
		hear_all(&t->c[1], data);
		hear_all(&t->c[0], data);
		for (unsigned i = 0; i < 2; i++) {
			pthread_join(thread[i], NULL);
			assert_int_equal(s[i].rc, 0);
		}
		talk_free(t);
	}
	free(data);
}

/* A thread that may not wait: a record stays half sent, and nothing is lost */
static void sending_need_not_wait(void **state)
{
	struct talk *t = talk_new(*state);
	uint8_t *data = make_bytes(), *in = malloc(BIG);
	struct error err = { 0 };
	size_t sent = 0, have = 0;
	bool full = false;

	while (have < BIG) {
		long n = channel_send_some(&t->c[0], data + sent,
					   BIG - sent, &err);

		assert_true(n >= 0);
		full |= !n && sent < BIG;
		sent += (size_t)n;
		n = channel_recv_some(&t->c[1], in + have, 5000, false, &err);
		assert_true(n >= 0);
		have += (size_t)n;
	}
	assert_true(full);
	assert_memory_equal(in, data, BIG);
	free(in);
	free(data);
	talk_free(t);
}

/* No poll() reports what was read along with an earlier record */
static void whole_records_are_pending(void **state)
{
	struct talk *t = talk_new(*state);
	struct pollfd p = { .fd = channel_poll_fd(&t->c[1]),
			    .events = POLLIN };
	struct error err = { 0 };
	uint8_t in[8];

	assert_false(channel_pending(&t->c[1]));
	assert_int_equal(channel_send(&t->c[0], "abc", 3, &err), 0);
	assert_int_equal(channel_send(&t->c[0], "defg", 4, &err), 0);
	assert_int_equal(channel_recv(&t->c[1], in, 2, &err), 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_true(channel_pending(&t->c[1]));
	assert_int_equal(channel_poll_ms(&t->c[1], 1000), 0);
	/* The rest of the first record, then the second one */
	assert_int_equal(channel_recv_some(&t->c[1], in, 8, false, &err), 1);
	assert_true(channel_pending(&t->c[1]));
	assert_int_equal(channel_recv_some(&t->c[1], in, 8, false, &err), 4);
	assert_memory_equal(in, "defg", 4);
	assert_false(channel_pending(&t->c[1]));
	assert_int_equal(channel_recv_some(&t->c[1], in, 8, false, &err), 0);
	talk_free(t);
}

/* Bytes of a record that is not whole are no progress, and are not pending */
static void part_of_a_record_waits(void **state)
{
	struct talk *t = talk_new(*state);
	uint8_t head[5] = { 23, 3, 3, 1, 0 }, in;
	struct error err = { 0 };

	/* A record's header: 256 bytes would follow */
	assert_int_equal(send(t->c[0].fd, head, 5, 0), 5);
	assert_int_equal(channel_recv_some(&t->c[1], &in, 1, false, &err), 0);
	assert_false(channel_pending(&t->c[1]));
	channel_set_silence(&t->c[1], 100);
	assert_refused(channel_recv(&t->c[1], &in, 1, &err), ETIMEDOUT, err,
		       "in time");
	talk_free(t);
}

static void silence_ends_a_wait(void **state)
{
	static uint8_t data[1 << 20];

	for (unsigned watched = 0; watched < 2; watched++) {
		struct talk *t = talk_new(*state);
		uint64_t start = now_ns();
		struct error err = { 0 };
		uint8_t byte;

		t->c[0].watched = watched;
		channel_set_silence(&t->c[0], 50);
		assert_refused(channel_recv(&t->c[0], &byte, 1, &err),
			       ETIMEDOUT, err, "in time");
		error_clear(&err);
		/* More than the socket holds, and nobody reads */
		assert_refused(channel_send(&t->c[0], data, sizeof(data),
					    &err), ETIMEDOUT, err, "in time");
		assert_true(now_ns() - start < LONG_NS);
		talk_free(t);
	}
}

static void *shut_soon(void *arg)
{
	usleep(100000);
	channel_shut(arg);
	return NULL;
}

static void another_thread_ends_waits(void **state)
{
	static uint8_t data[1 << 20];

	for (unsigned sends = 0; sends < 2; sends++) {
		struct talk *t = talk_new(*state);
		uint64_t start = now_ns();
		struct error err = { 0 };
		pthread_t thread;
		uint8_t byte;
		int rc;

		channel_set_silence(&t->c[0], 0);
		pthread_create(&thread, NULL, shut_soon, &t->c[0]);
		rc = sends ? channel_send(&t->c[0], data, sizeof(data), &err)
			   : channel_recv(&t->c[0], &byte, 1, &err);
		assert_refused(rc, EPIPE, err, "closed the connection");
		assert_true(now_ns() - start < LONG_NS);
		pthread_join(thread, NULL);
		talk_free(t);
	}
}

/* A close without TLS's own word for it: as any lost connection */
static void any_close_is_a_lost_connection(void **state)
{
	for (unsigned clean = 0; clean < 2; clean++) {
		struct talk *t = talk_new(*state);
		struct error err = { 0 };
		uint8_t in[4];

		assert_int_equal(channel_send(&t->c[0], "ab", 2, &err), 0);
		if (clean)
			channel_close(&t->c[0]);
		else
			shutdown(t->c[0].fd, SHUT_RDWR);
		/* What came before it is heard */
		assert_int_equal(channel_recv(&t->c[1], in, 2, &err), 0);
		assert_refused(channel_recv(&t->c[1], in, 1, &err), EPIPE, err,
			       "closed the connection");
		assert_true(channel_ended(&t->c[1]));
		talk_free(t);
	}
}

static void changed_bytes_are_noticed(void **state)
{
	struct talk *t = talk_new(*state);
	uint8_t record[5 + 64] = { 23, 3, 3, 0, 64, 1, 2, 3 }, in;
	struct error err = { 0 };

	assert_int_equal(send(t->c[0].fd, record, sizeof(record), 0),
			 sizeof(record));
	assert_refused(channel_recv(&t->c[1], &in, 1, &err), EACCES, err,
		       "TLS");
	talk_free(t);
}

static void garbage_is_no_handshake(void **state)
{
	static const char *const said[] = {
		"GET / HTTP/1.1\r\n\r\n", "\x5c", "SSH-2.0-x\r\n",
	};
	struct pki *p = *state;

	for (unsigned side = 0; side < 2; side++)
		for (unsigned i = 0; i < 3; i++) {
			struct error err = { 0 };
			struct tls *tls = load_from(p->dir, side, &err);
			struct channel c[2];
			int rc;

			socket_pair(c);
			send(c[1].fd, said[i], strlen(said[i]), 0);
			assert_int_equal(tls_channel(&c[0], tls, side ? NULL
						     : HOST, &err), 0);
			do
				rc = tls_handshake(&c[0], &err);
			while (rc == -EAGAIN);
			assert_refused(rc, EPROTO, err, "does not speak TLS");
			channel_close(&c[0]);
			channel_close(&c[1]);
			tls_unref(tls);
		}
}

/* What a side that uses these files says, about whom, and with which words */
static const struct {
	const char *what;
	struct pki_cert cert;
	const char *host;
	const char *words[2];	/* of the source, of the destination */
	unsigned finds;		/* the side that finds it */
} bad[] = {
	{ "wrong name", { .file = "server", .name = "other.example" }, HOST,
	  { "is for 'other.example', not for 'ferry.example'",
	    "the source refused this host's certificate" }, 0 },
	{ "wrong address", { .file = "server", .name = HOST }, "127.0.0.1",
	  { "not for '127.0.0.1'", "refused" }, 0 },
	{ "a source's certificate on a destination",
	  { .file = "server", .name = HOST, .purpose = true }, HOST,
	  { "not for that use", "refused" }, 0 },
	{ "a destination's certificate on a source",
	  { .file = "client", .name = HOST, .purpose = true }, HOST,
	  { "refused", "the source's certificate is not for that use" }, 1 },
	{ "revoked", { .file = "client", .name = HOST, .revoked = true }, HOST,
	  { "refused", "was revoked" }, 1 },
};

/* The other end, which hears of it, perhaps only when it receives */
static void assert_told(struct talk *t, unsigned i, const char *words)
{
	uint8_t byte;

	if (!t->rc[i])
		t->rc[i] = channel_recv(&t->c[i], &byte, 1, &t->err[i]);
	assert_true(t->rc[i] < 0);
	if (!strstr(t->err[i].text, words))
		fail_msg("'%s' does not say '%s'", t->err[i].text, words);
}

static void bad_certificates_are_explained(void **state)
{
	struct pki *p = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct talk *t;

		pki_issue(p, &bad[i].cert);
		t = talk_between(p->dir, p->dir, bad[i].host);
		assert_told(t, bad[i].finds, bad[i].words[bad[i].finds]);
		assert_told(t, !bad[i].finds, bad[i].words[!bad[i].finds]);
		talk_free(t);
		pki_issue(p, &(struct pki_cert){ .file = "server",
				.name = HOST, .ip = "127.0.0.1" });
	}
}

static void an_unknown_issuer_is_named(void **state)
{
	struct pki *mine = *state, *other = pki_new();
	struct talk *t = talk_between(mine->dir, other->dir, HOST);

	assert_told(t, 0, "not signed by a CA of ca-cert.pem here; its issuer is 'CN=A CA for tests'");
	assert_told(t, 1, "unknown");
	talk_free(t);
	pki_free(other);
}

/* A certificate of one's own that has expired is found before any connection */
static void dates_are_checked_at_home(void **state)
{
	struct pki *p = *state;
	struct error err = { 0 };

	pki_issue(p, &(struct pki_cert){ .file = "server", .name = HOST,
			.from = -2 * PKI_DAY, .to = -PKI_DAY });
	assert_null(load_from(p->dir, TLS_DESTINATION, &err));
	assert_refused(-err.code, EKEYEXPIRED, err, "server-cert.pem expired on");
	error_clear(&err);
	pki_issue(p, &(struct pki_cert){ .file = "client", .name = HOST,
			.from = PKI_DAY, .to = 2 * PKI_DAY });
	assert_null(load_from(p->dir, TLS_SOURCE, &err));
	assert_refused(-err.code, EKEYREJECTED, err,
		       "client-cert.pem is not valid before");
}

/* It expires while a listener has it: the other side finds that */
static void an_expired_peer_is_refused(void **state)
{
	struct pki *p = *state;
	struct error err = { 0 };
	struct talk *t = calloc(1, sizeof(*t));

	pki_issue(p, &(struct pki_cert){ .file = "server", .name = HOST,
			.from = -PKI_DAY, .to = 2 });
	t->tls[1] = load_from(p->dir, TLS_DESTINATION, &err);
	t->tls[0] = load_from(p->dir, TLS_SOURCE, &err);
	assert_non_null(t->tls[1]);
	sleep(4);
	socket_pair(t->c);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(tls_channel(&t->c[i], t->tls[i],
					     i ? NULL : HOST, &err), 0);
	shake_hands(t);
	assert_told(t, 0, "the destination's certificate expired on 2");
	assert_told(t, 1, "expired");
	talk_free(t);
}

static void missing_files_are_named(void **state)
{
	static const char *const files[] = {
		"server-cert.pem", "server-key.pem",
	};
	struct pki *p = *state;
	struct error err = { 0 };

	for (unsigned i = 0; i < 2; i++) {
		pki_write(p, files[i], NULL);
		assert_null(load_from(p->dir, TLS_DESTINATION, &err));
		assert_refused(-err.code, ENOENT, err, files[i]);
		error_clear(&err);
		pki_issue(p, &(struct pki_cert){ .file = "server" });
		pki_write(p, files[i], "no PEM\n");
		assert_null(load_from(p->dir, TLS_DESTINATION, &err));
		assert_refused(-err.code, EINVAL, err, files[i]);
		error_clear(&err);
		pki_issue(p, &(struct pki_cert){ .file = "server" });
	}
	/* The key of another certificate */
	pki_issue(p, &(struct pki_cert){ .file = "stray" });
	pki_write(p, "stray-cert.pem", NULL);
	{
		char from[128], to[128];

		snprintf(from, sizeof(from), "%s/stray-key.pem", p->dir);
		snprintf(to, sizeof(to), "%s/server-key.pem", p->dir);
		assert_int_equal(rename(from, to), 0);
	}
	assert_null(load_from(p->dir, TLS_DESTINATION, &err));
	assert_refused(-err.code, EINVAL, err, "is not the key of");
	error_clear(&err);
	pki_write(p, "ca-cert.pem", NULL);
	assert_null(load_from(p->dir, TLS_DESTINATION, &err));
	assert_refused(-err.code, ENOENT, err, "nor keys.psk");
}

#define KEY	"00112233445566778899aabbccddeeff"

static void a_shared_key_suffices(void **state)
{
	struct pki *p = *state, *other = pki_new();
	struct talk *t;

	pki_write(p, "ca-cert.pem", NULL);
	pki_write(other, "ca-cert.pem", NULL);
	pki_write(p, "keys.psk", "ferry:" KEY "\n");
	pki_write(other, "keys.psk", "x:00\nferry:" KEY "\n");
	t = talk_between(p->dir, other->dir, HOST);
	assert_int_equal(t->rc[0], 0);
	assert_int_equal(t->rc[1], 0);
	talk_free(t);
	pki_write(other, "keys.psk", "ferry:" KEY "00\n");
	t = talk_between(p->dir, other->dir, HOST);
	assert_told(t, 1, "keys.psk");
	assert_told(t, 0, "keys.psk");
	talk_free(t);
	pki_free(other);
}

/* One side has a key, the other a certificate */
static void a_key_is_no_certificate(void **state)
{
	struct pki *p = *state, *other = pki_new();

	pki_write(other, "ca-cert.pem", NULL);
	pki_write(other, "keys.psk", "ferry:" KEY "\n");
	for (unsigned i = 0; i < 2; i++) {
		struct talk *t = talk_between(i ? p->dir : other->dir,
					      i ? other->dir : p->dir, HOST);

		assert_true(t->rc[0] && t->rc[1]);
		assert_true(t->err[0].text[0] && t->err[1].text[0]);
		talk_free(t);
	}
	pki_free(other);
}

static void a_channel_has_a_name_of_its_own(void **state)
{
	struct talk *t = talk_new(*state), *u = talk_new(*state);
	uint8_t a[CHANNEL_BINDING], b[CHANNEL_BINDING], zero[32] = { 0 };
	struct channel plain[2];

	channel_bind(&t->c[0], "secret", 6, a);
	channel_bind(&t->c[1], "secret", 6, b);
	assert_memory_equal(a, b, CHANNEL_BINDING);
	channel_bind(&t->c[1], "Secret", 6, b);
	assert_memory_not_equal(a, b, CHANNEL_BINDING);
	channel_bind(&u->c[0], "secret", 6, b);
	assert_memory_not_equal(a, b, CHANNEL_BINDING);
	/* The peer is the same on both */
	channel_peer(&t->c[1], a);
	channel_peer(&u->c[1], b);
	assert_memory_equal(a, b, CHANNEL_BINDING);
	assert_memory_not_equal(a, zero, CHANNEL_BINDING);
	socket_pair(plain);
	channel_bind(&plain[0], "secret", 6, a);
	assert_memory_equal(a, zero, CHANNEL_BINDING);
	channel_close(&plain[0]);
	channel_close(&plain[1]);
	talk_free(t);
	talk_free(u);
}

/* Another certificate of the same CA does not join a link */
static void a_link_has_one_peer(void **state)
{
	struct talk *t = talk_new(*state), *same = talk_new(*state), *other;
	struct channel plain[2];
	struct link l;

	pki_issue(*state, &(struct pki_cert){ .file = "client",
		.name = "source.example" });
	other = talk_new(*state);
	socket_pair(plain);
	link_init(&l);
	link_begin(&l, 1, 0);
	assert_false(link_same_peer(&l, &t->c[1]));
	assert_int_equal(link_put(&l, WIRE_MAIN, 0, &t->c[1]), 0);
	assert_true(link_same_peer(&l, &same->c[1]));
	assert_false(link_same_peer(&l, &other->c[1]));
	assert_false(link_same_peer(&l, &plain[0]));
	t->c[1] = (struct channel){ 0 };	/* the link's */
	link_fini(&l);
	channel_close(&plain[0]);
	channel_close(&plain[1]);
	talk_free(t);
	talk_free(same);
	talk_free(other);
}

/* A listener with TLS, and what it has accepted */
struct host {
	struct greeter *g;
	struct uri uri;
	struct tls_config cfg;
	_Atomic unsigned hello_ms, taken;
	struct channel c[4];
};

static int on_hello(void *ctx, const struct channel *c,
		    const struct wire_hello *h, struct error *err)
{
	struct host *x = ctx;

	(void)h;
	(void)err;
	x->c[x->taken] = *c;
	x->taken++;
	return 0;
}

static void host_start(struct host *x, const struct pki *p)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct error err = { 0 };

	*x = (struct host){ .hello_ms = SAFE_MS,
			    .uri = { .kind = URI_TLS, .host = "127.0.0.1" } };
	strcpy(x->cfg.dir, p->dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	snprintf(x->uri.port, sizeof(x->uri.port), "%u", ntohs(a.sin_port));
	x->g = greeter_new(&x->uri, &(struct greeter_env){
		.hello_ms = &x->hello_ms, .tls = &x->cfg, .fn = on_hello,
		.ctx = x,
	}, &err);
	if (!x->g)
		fail_msg("%s", err.text);
}

static void host_end(struct host *x)
{
	greeter_free(x->g);
	for (unsigned i = 0; i < x->taken; i++)
		channel_close(&x->c[i]);
}

static int dial(const struct host *x)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(x->uri.port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* A source that says HELLO; @wrong changes a byte of the binding */
static int greet(struct host *x, struct link *l, unsigned i, uint8_t wrong,
		 struct error *err)
{
	struct wire_hello h = { .version = WIRE_VERSION, .role = WIRE_MAIN,
		.page_size = WIRE_PAGE, .push = 1, .secret = { 4, 5, 6 } };
	const struct wire_msg m = { .type = WIRE_MSG_HELLO,
				    .length = WIRE_HELLO };
	uint8_t out[WIRE_HELLO];
	struct channel *c = link_channel(l, WIRE_PUSH, i);
	int rc = link_resolve(l, &x->uri, SAFE_MS, err);

	if (!rc)
		rc = link_connect(l, WIRE_PUSH, i, SAFE_MS, err);
	if (rc)
		return rc;
	channel_bind(c, h.secret, WIRE_SECRET, h.binding);
	h.binding[31] ^= wrong;
	wire_put_hello(out, &h);
	return channel_say(c, &m, out, err);
}

static void wait_taken(const struct host *x, unsigned n)
{
	for (unsigned ms = 0; x->taken < n && ms < SAFE_MS; ms++)
		usleep(1000);
	assert_int_equal(x->taken, n);
}

static void link_new(struct link *l, const struct pki *p)
{
	link_init(l);
	strcpy(l->tls.dir, p->dir);
	link_begin(l, 1, 0);
}

/* Peers that say nothing, half a handshake, or a whole one and no HELLO: the
 * next one is served at once, and all of them end when the listener does
 */
static void silent_peers_delay_no_other(void **state)
{
	uint64_t start;
	struct host x;
	struct link l;
	struct error err = { 0 };
	struct tls *tls = load_from(((struct pki *)*state)->dir, TLS_SOURCE,
				    &err);
	struct channel half;
	int silent, rc;
	char byte;

	host_start(&x, *state);
	link_new(&l, *state);
	silent = dial(&x);
	socket_channel(&half, dial(&x));
	assert_int_equal(tls_channel(&half, tls, HOST, &err), 0);
	/* How far it comes depends on the listener's thread */
	rc = tls_handshake(&half, &err);
	assert_true(!rc || rc == -EAGAIN);
	assert_int_equal(link_resolve(&l, &x.uri, SAFE_MS, &err), 0);
	assert_int_equal(link_connect(&l, WIRE_MAIN, 0, SAFE_MS, &err), 0);
	start = now_ns();
	assert_int_equal(greet(&x, &l, 0, 0, &err), 0);
	wait_taken(&x, 1);
	assert_true(now_ns() - start < LONG_NS);
	/* What the owner got is the connection */
	assert_int_equal(channel_send(&x.c[0], "z", 1, &err), 0);
	assert_int_equal(channel_recv(&l.push[0], &byte, 1, &err), 0);
	assert_int_equal(byte, 'z');
	start = now_ns();
	host_end(&x);
	rc = (int)recv(silent, &byte, 1, 0);
	assert_true(rc <= 0);
	assert_true(now_ns() - start < LONG_NS);
	close(silent);
	channel_close(&half);
	tls_unref(tls);
	link_fini(&l);
}

/* One limit for handshake and HELLO together */
static void a_greeting_has_one_deadline(void **state)
{
	uint64_t start = now_ns();
	struct host x;
	char byte[8];
	int fd;

	host_start(&x, *state);
	x.hello_ms = 300;
	fd = dial(&x);
	assert_int_equal(send(fd, "\x16", 1, 0), 1);
	while (recv(fd, byte, sizeof(byte), 0) > 0)
		;
	assert_true(now_ns() - start >= 300000000);
	assert_true(now_ns() - start < LONG_NS);
	close(fd);
	host_end(&x);
}

/* A HELLO that was made for another TLS connection, e.g. by a relay */
static void a_hello_belongs_to_its_channel(void **state)
{
	struct error err = { 0 };
	struct host x;
	struct link l;

	host_start(&x, *state);
	link_new(&l, *state);
	assert_int_equal(greet(&x, &l, 0, 1, &err), 0);
	assert_refused(channel_expect(&l.push[0], WIRE_MSG_WELCOME, NULL, NULL,
				      &err), ECONNREFUSED, err,
		       "made for another connection");
	assert_int_equal(x.taken, 0);
	assert_int_equal(greet(&x, &l, 1, 0, &err), 0);
	wait_taken(&x, 1);
	link_fini(&l);
	host_end(&x);
}

/* A peer without TLS receives a REFUSE with the reason; the log has it, too */
static void a_plain_peer_is_told(void **state)
{
	struct error err = { 0 };
	struct host x;
	struct link l;

	host_start(&x, *state);
	link_new(&l, *state);
	x.uri.kind = URI_TCP;
	assert_int_equal(greet(&x, &l, 0, 0, &err), 0);
	assert_refused(channel_expect(&l.push[0], WIRE_MSG_WELCOME, NULL, NULL,
				      &err), ECONNREFUSED, err,
		       "does not speak TLS");
	link_fini(&l);
	host_end(&x);
}

static void tls_can_be_required(void **state)
{
	struct uri u = { .kind = URI_TCP, .host = "127.0.0.1", .port = "1" };
	struct tls_config cfg = { .required = true };
	struct error err = { 0 };
	_Atomic unsigned ms = 1000;
	struct link l;

	(void)state;
	assert_null(greeter_new(&u, &(struct greeter_env){
		.hello_ms = &ms, .tls = &cfg, .fn = on_hello }, &err));
	assert_refused(-err.code, EACCES, err, "use tls:127.0.0.1:1");
	error_clear(&err);
	link_init(&l);
	l.tls.required = true;
	link_begin(&l, 1, 0);
	assert_refused(link_resolve(&l, &u, 1000, &err), EACCES, err,
		       "use tls:127.0.0.1:1");
	link_fini(&l);
}

/*
 * Peers that have not proved who they are, each of which has sent as much of a
 * handshake as is accepted, use no more memory than is promised
 */
static void strangers_use_little_memory(void **state)
{
	static uint8_t flood[5 + 16384] = { 22, 3, 1, 64, 0,
					    1, 0, 127, 0, 3, 3 };
	int fd[GREETINGS_MAX];
	struct host x;
	size_t before;

	if (!mallinfo2().uordblks)
		skip_because("this allocator does not count");
	host_start(&x, *state);
	before = mallinfo2().uordblks;
	for (unsigned i = 0; i < GREETINGS_MAX; i++) {
		fd[i] = dial(&x);
		/* A ClientHello of 32 KiB, of which half comes */
		send(fd[i], flood, sizeof(flood), MSG_NOSIGNAL);
		send(fd[i], flood, 5 + 9000, MSG_NOSIGNAL);
	}
	usleep(500000);
	assert_in_range(mallinfo2().uordblks - before, 20 * GREETINGS_MAX << 10,
			GREETINGS_MAX * TLS_GREETING_BYTES);
	for (unsigned i = 0; i < GREETINGS_MAX; i++)
		close(fd[i]);
	host_end(&x);
}

#define RECORDS		((1u << 24) + 5000)

static void *many_records(void *arg)
{
	struct channel *c = arg;
	struct error err = { 0 };
	intptr_t rc = 0;

	for (unsigned i = 0; i < RECORDS && !rc; i++) {
		uint8_t byte = (uint8_t)(i * 7 + i / 256);

		rc = channel_send(c, &byte, 1, &err);
	}
	return (void *)rc;
}

/*
 * A key encrypts 2^24 records; GnuTLS then changes it (KeyUpdate). No function
 * of GnuTLS lowers the number, so this takes a minute: only on request
 */
static void keys_are_changed(void **state)
{
	uint64_t start = now_ns();
	struct error err = { 0 };
	unsigned heard = 0;
	pthread_t thread;
	struct talk *t;
	void *rc;

	if (!getenv("FERRY_TEST_EVERY")) {
		print_message("# skip keys_are_changed: takes a minute: FERRY_TEST_EVERY=1 runs it\n");
		skip();
	}
	t = talk_new(*state);
	pthread_create(&thread, NULL, many_records, &t->c[0]);
	while (heard < RECORDS) {
		uint8_t in[64];
		long n = channel_recv_some(&t->c[1], in, sizeof(in), true,
					   &err);

		if (n <= 0)
			fail_msg("after %u records: %s", heard, err.text);
		for (long i = 0; i < n; i++, heard++)
			assert_int_equal(in[i], (uint8_t)(heard * 7 +
							  heard / 256));
	}
	pthread_join(thread, &rc);
	assert_null(rc);
	/* The other direction has not changed its key */
	assert_int_equal(channel_send(&t->c[1], "b", 1, &err), 0);
	assert_int_equal(channel_recv(&t->c[0], &(uint8_t){ 0 }, 1, &err), 0);
	print_message("# %u records in %.1f s\n", RECORDS,
		      (double)(now_ns() - start) / 1e9);
	talk_free(t);
}

/* ---- Records that the kernel encrypts ---- */

static bool kernel_has_tls(void)
{
	int fd[2], rc;

	tcp_pair(fd);
	rc = setsockopt(fd[0], IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"));
	close(fd[0]);
	close(fd[1]);
	return !rc;
}

/* A network between two sockets. It may change what it carries */
struct carrier {
	int fd[2];
	pthread_t thread[2];	/* one for each direction */
	_Atomic bool damages;
};

static void carry(struct carrier *w, unsigned from)
{
	uint8_t data[4096];
	ssize_t n;

	while ((n = recv(w->fd[from], data, sizeof(data), 0)) > 0) {
		if (w->damages)
			data[n - 1] ^= 1;
		for (ssize_t k, done = 0; done < n; done += k) {
			k = send(w->fd[!from], data + done, (size_t)(n - done),
				 MSG_NOSIGNAL);
			if (k <= 0)
				return;
		}
	}
}

static void *carry_from_source(void *arg)
{
	struct carrier *w = arg;

	carry(w, 0);
	shutdown(w->fd[1], SHUT_RDWR);
	return NULL;
}

static void *carry_from_destination(void *arg)
{
	struct carrier *w = arg;

	carry(w, 1);
	shutdown(w->fd[0], SHUT_RDWR);
	return NULL;
}

/* Only the socket of one side, or of both, is one that the kernel can use */
static struct talk *talk_through(struct carrier *w, const struct pki *p,
				 unsigned by_kernel)
{
	struct talk *t = calloc(1, sizeof(*t));
	struct error err = { 0 };

	assert_non_null(t);
	for (unsigned i = 0; i < 2; i++) {
		int fd[2];

		if (by_kernel & (1u << i))
			tcp_pair(fd);
		else
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0,
						    fd), 0);
		w->fd[i] = fd[1];
		socket_channel(&t->c[i], fd[0]);
		t->tls[i] = load_from(p->dir, i, &err);
		assert_int_equal(tls_channel(&t->c[i], t->tls[i],
					     i ? NULL : HOST, &err), 0);
	}
	w->damages = false;
	pthread_create(&w->thread[0], NULL, carry_from_source, w);
	pthread_create(&w->thread[1], NULL, carry_from_destination, w);
	shake_hands(t);
	for (unsigned i = 0; i < 2; i++) {
		if (t->rc[i])
			fail_msg("%s", t->err[i].text);
		channel_set_silence(&t->c[i], SAFE_MS);
		assert_int_equal(is_by_kernel(&t->c[i]), by_kernel >> i & 1);
	}
	return t;
}

static void carrier_end(struct carrier *w, struct talk *t)
{
	talk_free(t);
	pthread_join(w->thread[0], NULL);
	pthread_join(w->thread[1], NULL);
	close(w->fd[0]);
	close(w->fd[1]);
}

/* One host's kernel can, the other's cannot: they understand each other */
static void with_a_host_that_can_not(void **state)
{
	uint8_t *data = make_bytes();

	for (unsigned side = 1; side <= 3; side++) {
		struct carrier w;
		struct talk *t = talk_through(&w, *state, side);
		struct speaker s[2] = {
			{ .c = &t->c[0], .data = data },
			{ .c = &t->c[1], .data = data },
		};
		pthread_t thread[2];

		for (unsigned i = 0; i < 2; i++)
			pthread_create(&thread[i], NULL, speaker_main, &s[i]);
		hear_all(&t->c[1], data);
		hear_all(&t->c[0], data);
		for (unsigned i = 0; i < 2; i++) {
			pthread_join(thread[i], NULL);
			assert_int_equal(s[i].rc, 0);
		}
		carrier_end(&w, t);
	}
	free(data);
}

static void changes_on_the_way_are_noticed(void **state)
{
	struct carrier w;
	struct talk *t = talk_through(&w, *state, 3);
	struct error err = { 0 };
	uint8_t in[4];

	assert_int_equal(channel_send(&t->c[0], "good", 4, &err), 0);
	assert_int_equal(channel_recv(&t->c[1], in, 4, &err), 0);
	w.damages = true;
	assert_int_equal(channel_send(&t->c[0], "evil", 4, &err), 0);
	assert_refused(channel_recv(&t->c[1], in, 4, &err), EACCES, err,
		       "changed on its way");
	carrier_end(&w, t);
}

/*
 * A source says HELLO as soon as its handshake is complete. The destination's
 * must not read it: the kernel could not decrypt it any more
 */
static void what_follows_the_handshake_is_left(void **state)
{
	struct pki *p = *state;
	struct error err = { 0 };
	struct talk t = { .tls = { load_from(p->dir, TLS_SOURCE, &err),
				   load_from(p->dir, TLS_DESTINATION, &err) },
			  .rc = { -EAGAIN, -EAGAIN } };
	uint8_t in[5];

	socket_pair(t.c);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(tls_channel(&t.c[i], t.tls[i],
					     i ? NULL : HOST, &err), 0);
	/* The source's last step ends its handshake, the destination's not */
	for (unsigned turn = 0; turn < 50000 && t.rc[0] == -EAGAIN; turn++) {
		if (t.rc[1] == -EAGAIN)
			t.rc[1] = tls_handshake(&t.c[1], &err);
		usleep(100);
		t.rc[0] = tls_handshake(&t.c[0], &err);
	}
	assert_int_equal(t.rc[0], 0);
	assert_int_equal(t.rc[1], -EAGAIN);
	assert_int_equal(channel_send(&t.c[0], "HELLO", 5, &err), 0);
	usleep(20000);
	for (unsigned turn = 0; turn < 50000 && t.rc[1] == -EAGAIN; turn++) {
		t.rc[1] = tls_handshake(&t.c[1], &err);
		usleep(100);
	}
	assert_int_equal(t.rc[1], 0);
	assert_true(is_by_kernel(&t.c[1]));
	assert_int_equal(channel_recv(&t.c[1], in, 5, &err), 0);
	assert_memory_equal(in, "HELLO", 5);
	for (unsigned i = 0; i < 2; i++) {
		channel_close(&t.c[i]);
		tls_unref(t.tls[i]);
	}
}

/* As a peer whose GnuTLS does it after 2^24 records */
static void a_changed_key_ends_it(void **state)
{
	static uint8_t update[] = { 24, 0, 0, 1, 0 };
	struct talk *t = talk_new(*state);
	struct iovec iov = { update, sizeof(update) };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(1)];
	} control = { .header = {
		.cmsg_level = SOL_TLS, .cmsg_type = TLS_SET_RECORD_TYPE,
		.cmsg_len = CMSG_LEN(1),
	} };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	struct error err = { 0 };
	uint8_t in;

	*CMSG_DATA(&control.header) = 22;
	assert_int_equal(sendmsg(t->c[0].fd, &mh, 0), sizeof(update));
	assert_refused(channel_recv(&t->c[1], &in, 1, &err), EACCES, err,
		       "changes its key");
	talk_free(t);
}

/* What is sent is counted in records, and a key has its limit */
static void a_key_is_used_up(void **state)
{
	struct talk *t = talk_new(*state);
	struct iovec iov[2] = { { "head", 4 },
				{ calloc(1, 20000), 20000 } };
	unsigned records = TLS_KERNEL_RECORDS - 2;

	assert_true(is_by_kernel(&t->c[0]));
	assert_int_equal(tls_kernel_sendv(t->c[0].fd, iov, 2, &records),
			 20004);
	assert_int_equal(records, TLS_KERNEL_RECORDS);
	assert_int_equal(tls_kernel_sendv(t->c[0].fd, iov, 1, &records),
			 -EKEYEXPIRED);
	free(iov[1].iov_base);
	talk_free(t);
}

static int setup_tcp(void **state)
{
	tcp = true;
	return setup(state);
}

static int teardown_tcp(void **state)
{
	tcp = false;
	return teardown(state);
}

static int run_by_kernel(void)
{
#define BY_KERNEL(f) { #f ".by_kernel", f, setup_tcp, teardown_tcp, NULL }
	const struct CMUnitTest tests[] = {
		BY_KERNEL(both_directions_at_once),
		BY_KERNEL(sending_need_not_wait),
		BY_KERNEL(silence_ends_a_wait),
		BY_KERNEL(another_thread_ends_waits),
		BY_KERNEL(any_close_is_a_lost_connection),
		BY_KERNEL(bad_certificates_are_explained),
		BY_KERNEL(an_unknown_issuer_is_named),
		BY_KERNEL(a_shared_key_suffices),
		BY_KERNEL(with_a_host_that_can_not),
		BY_KERNEL(what_follows_the_handshake_is_left),
		BY_KERNEL(changes_on_the_way_are_noticed),
		BY_KERNEL(a_changed_key_ends_it),
		BY_KERNEL(a_key_is_used_up),
	};

	if (kernel_has_tls())
		return cmocka_run_group_tests_name("tls_kernel", tests, NULL,
						   NULL);
	print_message("skip tls_kernel: this kernel has no module tls, or may not load it\n");
	return 0;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(both_directions_at_once),
		CASE(sending_need_not_wait),
		CASE(whole_records_are_pending),
		CASE(part_of_a_record_waits),
		CASE(silence_ends_a_wait),
		CASE(another_thread_ends_waits),
		CASE(any_close_is_a_lost_connection),
		CASE(changed_bytes_are_noticed),
		CASE(garbage_is_no_handshake),
		CASE(bad_certificates_are_explained),
		CASE(an_unknown_issuer_is_named),
		CASE(dates_are_checked_at_home),
		CASE(an_expired_peer_is_refused),
		CASE(missing_files_are_named),
		CASE(a_shared_key_suffices),
		CASE(a_key_is_no_certificate),
		CASE(a_channel_has_a_name_of_its_own),
		CASE(a_link_has_one_peer),
		CASE(silent_peers_delay_no_other),
		CASE(a_greeting_has_one_deadline),
		CASE(a_hello_belongs_to_its_channel),
		CASE(a_plain_peer_is_told),
		CASE(tls_can_be_required),
		CASE(strangers_use_little_memory),
		CASE(keys_are_changed),
	};
	int rc;

	rc = cmocka_run_group_tests_name("channel_tls", tests, NULL, NULL);
	return run_by_kernel() || rc;
}
