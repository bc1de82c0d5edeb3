// SPDX-License-Identifier: MIT
/*
 * channel.c - What TLS costs a connection: bytes per second, and the round trip
 * of a request and its page
 *
 *	bench-channel plain|tls push|page
 *
 * Two threads, TCP on loopback, the channels that a migration uses, for half a
 * second. Prints the MiB/s of runs of 64 pages, or the µs from a request of 32
 * bytes to its whole page.
 */

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "migration/link/channel_tls.h"

#define SPAN_NS		500000000ull
#define RUN		(64 * 4096)
#define HEADER		32
#define PAGE		4096
#define MIB		(1 << 20)

static uint8_t bytes[RUN];

static void fail(const char *what, const struct error *err)
{
	fprintf(stderr, "bench-channel: %s: %s\n", what, err->text);
	exit(1);
}

static bool never(void *ctx)
{
	return ctx;
}

static void tcp_pair(struct channel *c)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t n = sizeof(a);

	if (bind(listener, (struct sockaddr *)&a, n) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&a, &n) ||
	    connect(fd, (struct sockaddr *)&a, n)) {
		perror("bench-channel: loopback");
		exit(1);
	}
	socket_channel(&c[0], fd);
	socket_channel(&c[1], accept(listener, NULL, NULL));
	close(listener);
}

struct sink {
	struct channel *c;
	bool answers;
};

/* Until the other end closes: receive, or answer each request with a page */
static void *sink_main(void *arg)
{
	static uint8_t in[RUN];
	struct sink *s = arg;
	struct iovec iov[2];

	while (s->answers ? !channel_recv(s->c, in, HEADER, NULL)
			  : channel_recv_some(s->c, in, RUN, true, NULL) > 0) {
		iov[0] = (struct iovec){ bytes, HEADER };
		iov[1] = (struct iovec){ bytes, PAGE };
		if (s->answers && channel_sendv(s->c, iov, 2, NULL))
			break;
	}
	return NULL;
}

/* The destination's half of a handshake */
static void *shake_main(void *arg)
{
	struct error err = { 0 };
	struct channel *c = arg;
	int rc;

	while ((rc = tls_handshake(c, &err)) == -EAGAIN)
		usleep(100);
	if (rc)
		fail("handshake", &err);
	return NULL;
}

static void secure(struct channel *c, struct tls **tls)
{
	const struct socket_wait w = { .ms = 10000, .stop = never };
	struct error err = { 0 };
	pthread_t thread;

	if (tls_channel(&c[1], tls[1], NULL, &err) ||
	    pthread_create(&thread, NULL, shake_main, &c[1]) ||
	    tls_connect(&c[0], tls[0], "localhost", &w, &err))
		fail("TLS", &err);
	pthread_join(thread, NULL);
}

/* Return: MiB/s, or µs for a round trip */
static double measure(struct tls **tls, bool round_trip)
{
	struct channel c[2];
	struct sink s = { .c = &c[1], .answers = round_trip };
	uint64_t start, spent, n = 0;
	pthread_t thread;
	struct iovec iov[2];

	tcp_pair(c);
	if (tls)
		secure(c, tls);
	pthread_create(&thread, NULL, sink_main, &s);
	start = now_ns();
	do {
		uint8_t in[HEADER + PAGE];

		iov[0] = (struct iovec){ bytes, HEADER };
		iov[1] = (struct iovec){ bytes, RUN };
		if (channel_sendv(&c[0], iov, round_trip ? 1 : 2, NULL) ||
		    (round_trip && channel_recv(&c[0], in, sizeof(in), NULL)))
			exit(1);
		n++;
		spent = now_ns() - start;
	} while (spent < SPAN_NS);
	channel_shut(&c[0]);
	pthread_join(thread, NULL);
	channel_close(&c[0]);
	channel_close(&c[1]);
	return round_trip ? (double)spent / 1e3 / (double)n
			  : (double)n * RUN / MIB / ((double)spent / 1e9);
}

static struct tls *load(const char *dir, enum tls_side side)
{
	struct tls_config cfg = { 0 };
	struct error err = { 0 };
	struct tls *t;

	strcpy(cfg.dir, dir);
	t = tls_load(&cfg, side, &err);
	if (!t)
		fail("TLS", &err);
	return t;
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/ferry-bench.XXXXXX", path[64];
	bool secured = argc == 3 && !strcmp(argv[1], "tls");
	struct tls *tls[2];
	FILE *f;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/keys.psk", dir);
	f = fopen(path, "w");
	if (!f || fputs("ferry:00112233445566778899aabbccddeeff\n", f) < 0)
		return 1;
	fclose(f);
	tls[0] = load(dir, TLS_SOURCE);
	tls[1] = load(dir, TLS_DESTINATION);
	printf("%.1f\n", measure(secured ? tls : NULL,
				 argc == 3 && !strcmp(argv[2], "page")));
	tls_unref(tls[0]);
	tls_unref(tls[1]);
	unlink(path);
	rmdir(dir);
	return 0;
}
