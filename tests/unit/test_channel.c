// SPDX-License-Identifier: MIT
/*
 * test_channel.c - Channels: whole messages over short reads, cuts, deadlines
 *
 * Over a pair in memory (memory_channel.h), which proves that the ops of a
 * channel suffice, and over sockets where it is about sockets.
 */

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "memory_channel.h"
#include "migration/link/link.h"
#include "migration/link/socket.h"
#include "unit.h"

struct talk {
	struct memory_faults faults;
	struct channel a, b;
};

static struct talk *talk_new(void)
{
	struct talk *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	memory_channel_pair(&t->a, &t->b, &t->faults);
	return t;
}

static void talk_free(struct talk *t)
{
	channel_close(&t->a);
	channel_close(&t->b);
	free(t);
}

/* Three messages; the payload of the last is larger than the pair's buffer */
static int say_all(struct channel *c, const uint8_t *data, struct error *err)
{
	const struct wire_msg m[] = {
		{ .type = WIRE_MSG_COMMIT },
		{ .type = WIRE_MSG_PAGES, .length = 4096, .a = 4096, .b = 1 },
		{ .type = WIRE_MSG_STATE, .length = 2 * MEMORY_CHANNEL_BYTES },
	};
	int rc = 0;

	for (unsigned i = 0; i < 3 && !rc; i++)
		rc = channel_say(c, &m[i], data, err);
	return rc;
}

static int hear_all(struct channel *c, const uint8_t *data, struct error *err)
{
	uint8_t *got = NULL;
	uint32_t n;
	int rc = channel_expect(c, WIRE_MSG_COMMIT, NULL, NULL, err);

	if (!rc)
		rc = channel_expect(c, WIRE_MSG_PAGES, &got, &n, err);
	if (rc)
		return rc;
	assert_int_equal(n, 4096);
	assert_memory_equal(got, data, n);
	free(got);
	rc = channel_expect(c, WIRE_MSG_STATE, &got, &n, err);
	if (rc)
		return rc;
	assert_memory_equal(got, data, n);
	free(got);
	return 0;
}

struct speaker {
	struct channel *c;
	const uint8_t *data;
	struct error err;
	int rc;
};

static void *speaker_main(void *arg)
{
	struct speaker *s = arg;

	s->rc = say_all(s->c, s->data, &s->err);
	/* As a session does: the other end's wait ends, too */
	if (s->rc)
		channel_shut(s->c);
	return NULL;
}

/* Return: what hearing returned */
static int converse(struct talk *t, struct speaker *s, struct error *err)
{
	static uint8_t data[2 * MEMORY_CHANNEL_BYTES];
	pthread_t thread;
	int rc;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	*s = (struct speaker){ .c = &t->a, .data = data };
	assert_int_equal(pthread_create(&thread, NULL, speaker_main, s), 0);
	rc = hear_all(&t->b, data, err);
	if (rc)
		channel_shut(&t->b);
	pthread_join(thread, NULL);
	return rc;
}

static void messages_survive_short_reads(void **state)
{
	static const size_t most[] = { 0, 1, 3, 31, 33, 4096 };

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		for (unsigned watched = 0; watched < 2; watched++) {
			struct talk *t = talk_new();
			struct error err = { 0 };
			struct speaker s;

			t->faults.most = most[i];
			t->a.watched = t->b.watched = watched;
			assert_int_equal(converse(t, &s, &err), 0);
			assert_int_equal(s.rc, 0);
			talk_free(t);
		}
}

/* N = 1, 2, 3, … until a conversation passes untouched */
static void a_cut_at_any_operation_ends_both(void **state)
{
	unsigned n = 0, failed = 0;
	bool whole = false;

	(void)state;
	while (!whole) {
		struct talk *t = talk_new();
		struct error err = { 0 };
		struct speaker s;
		int rc;

		t->faults.most = 3000;
		t->faults.cut_at = ++n;
		rc = converse(t, &s, &err);
		if (rc) {
			assert_refused(rc, EPIPE, err, "closed the connection");
			failed++;
		}
		whole = t->faults.operations < n;
		assert_true(!whole || (!rc && !s.rc));
		talk_free(t);
	}
	assert_true(failed > 50);
}

static void silence_ends_a_wait(void **state)
{
	(void)state;
	for (unsigned watched = 0; watched < 2; watched++) {
		struct talk *t = talk_new();
		struct error err = { 0 };
		uint8_t byte;

		t->a.watched = watched;
		channel_set_silence(&t->a, 50);
		assert_refused(channel_recv(&t->a, &byte, 1, &err), ETIMEDOUT,
			       err, "in time");
		talk_free(t);
	}
}

/* A peer that sends single bytes does not prolong it */
static void the_end_is_for_all_waits_together(void **state)
{
	struct talk *t = talk_new();
	struct error err = { 0 };
	uint64_t start = now_ns();
	uint8_t in[64], byte = 1;
	size_t got = 0;
	int rc = 0;

	(void)state;
	t->a.watched = true;
	channel_set_silence(&t->a, 10000);
	channel_set_end(&t->a, start + 200000000);
	while (!rc) {
		assert_int_equal(channel_send(&t->b, &byte, 1, &err), 0);
		rc = channel_recv(&t->a, in, 1, &err);
		got += !rc;
		if (now_ns() - start > 200000000 && !rc)
			rc = channel_recv(&t->a, in, 1, &err);
		usleep(10000);
	}
	assert_int_equal(rc, -ETIMEDOUT);
	assert_true(got > 1);		/* 15 and more, if nothing else runs */
	assert_true(now_ns() - start < 5000000000);
	talk_free(t);
}

/* A peer that sends, or takes, a byte every 2 ms */
struct trickle {
	struct channel *c;
	bool sends;
	_Atomic bool over;
};

static void *trickle_main(void *arg)
{
	struct trickle *p = arg;
	uint8_t byte = 0;

	while (!p->over) {
		if (p->sends)
			channel_send_some(p->c, &byte, 1, NULL);
		else
			channel_recv_some(p->c, &byte, 1, false, NULL);
		usleep(2000);
	}
	return NULL;
}

#define TRICKLED	2000	/* bytes: 4 s */

/* Without a deadline for all: a message that grows by single bytes ends, too */
static void single_bytes_are_no_progress(void **state)
{
	static uint8_t data[MEMORY_CHANNEL_BYTES + TRICKLED];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct talk *t = talk_new();
		struct trickle p = { .c = &t->b, .sends = i % 2 };
		struct error err = { 0 };
		pthread_t thread;
		int rc;

		t->a.watched = i / 2;
		channel_set_silence(&t->a, 50);
		assert_int_equal(pthread_create(&thread, NULL, trickle_main,
						&p), 0);
		rc = p.sends ? channel_recv(&t->a, data, TRICKLED, &err)
			     : channel_send(&t->a, data, sizeof(data), &err);
		p.over = true;
		pthread_join(thread, NULL);
		assert_refused(rc, ETIMEDOUT, err, "in time");
		talk_free(t);
	}
}

static void *end_soon(void *arg)
{
	usleep(50000);
	channel_set_end(arg, now_ns());
	return NULL;
}

static void the_end_may_come_during_a_wait(void **state)
{
	struct talk *t = talk_new();
	uint64_t start = now_ns();
	struct error err = { 0 };
	pthread_t thread;
	uint8_t byte;

	(void)state;
	t->a.watched = true;
	pthread_create(&thread, NULL, end_soon, &t->a);
	assert_int_equal(channel_recv(&t->a, &byte, 1, &err), -ETIMEDOUT);
	assert_true(now_ns() - start < 5000000000);
	pthread_join(thread, NULL);
	talk_free(t);
}

/* Bytes above the descriptor, as TLS has them: no poll() may wait for them */
static void pending_bytes_are_not_waited_for(void **state)
{
	struct talk *t = talk_new();
	struct error err = { 0 };
	uint8_t in[4];

	(void)state;
	t->faults.hide = true;
	assert_int_equal(channel_poll_ms(&t->a, 1000), 1000);
	assert_int_equal(channel_send(&t->b, "abcd", 4, &err), 0);
	assert_true(channel_pending(&t->a));
	assert_int_equal(channel_poll_ms(&t->a, 1000), 0);
	assert_int_equal(channel_recv_some(&t->a, in, 4, false, &err), 4);
	assert_false(channel_pending(&t->a));
	assert_int_equal(channel_recv_some(&t->a, in, 4, false, &err), 0);
	talk_free(t);
}

static void sending_need_not_wait(void **state)
{
	static uint8_t data[2 * MEMORY_CHANNEL_BYTES];
	struct talk *t = talk_new();
	struct error err = { 0 };

	(void)state;
	assert_int_equal(channel_send_some(&t->a, data, sizeof(data), &err),
			 MEMORY_CHANNEL_BYTES);
	assert_int_equal(channel_send_some(&t->a, data, 1, &err), 0);
	channel_shut(&t->b);
	assert_int_equal(channel_send_some(&t->a, data, 1, &err), -EPIPE);
	talk_free(t);
}

static void a_refusal_is_printable(void **state)
{
	struct talk *t = talk_new();
	struct error why = { 0 }, err = { 0 };

	(void)state;
	error_set(&why, EINVAL, "no\nroom\x1b[m");
	channel_refuse(&t->a, &why);
	assert_refused(channel_expect(&t->b, WIRE_MSG_COMMIT, NULL, NULL,
				      &err), ECONNREFUSED, err,
		       "refused: no?room?[m");
	talk_free(t);
}

/* A link that was shut shuts what comes later */
static void a_link_stays_shut(void **state)
{
	struct talk *t = talk_new();
	struct link l;

	(void)state;
	link_init(&l);
	assert_int_equal(link_put(&l, WIRE_MAIN, 0, &t->a), -ECANCELED);
	link_begin(&l, 1, 0);
	assert_int_equal(l.epoch, 1);
	assert_int_equal(link_put(&l, WIRE_MAIN, 0, &t->a), 0);
	assert_true(l.main.watched);
	assert_int_equal(link_put(&l, WIRE_MAIN, 0, &t->b), -EEXIST);
	link_hang_up(&l, 1000);
	assert_int_equal(link_put(&l, WIRE_DEMAND, 0, &t->b), -ECANCELED);
	/* REFUSE is still possible, receiving is not */
	assert_int_equal(channel_send(&l.main, "x", 1, NULL), 0);
	assert_int_equal(channel_recv(&l.main, &(char){ 0 }, 1, NULL), -EPIPE);
	link_shut(&l);
	assert_int_equal(channel_send(&l.main, "x", 1, NULL), -EPIPE);
	link_close(&l);
	/* The next epoch begins with nothing open */
	link_begin(&l, 2, 0);
	assert_int_equal(l.epoch, 2);
	assert_false(link_has(&l, WIRE_MAIN, 0));
	assert_int_equal(link_put(&l, WIRE_PUSH, 3, &t->b), 0);
	link_fini(&l);
	free(t);
}

static void sockets_are_channels(void **state)
{
	static const uint8_t data[3 * MEMORY_CHANNEL_BYTES];
	struct channel a, b;
	struct error err = { 0 };
	uint8_t in[100];
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	socket_channel(&a, fd[0]);
	socket_channel(&b, fd[1]);
	assert_int_equal(channel_recv_some(&a, in, 100, false, &err), 0);
	assert_int_equal(channel_send(&b, data, 100, &err), 0);
	assert_int_equal(channel_recv(&a, in, 100, &err), 0);
	assert_false(channel_ended(&a));
	channel_set_silence(&a, 50);
	assert_int_equal(channel_recv(&a, in, 1, &err), -ETIMEDOUT);
	channel_close(&b);
	assert_true(channel_ended(&a));
	assert_false(channel_is_open(&b));
	assert_int_equal(channel_recv(&a, in, 1, &err), -EPIPE);
	channel_close(&a);
	assert_int_equal(channel_poll_fd(&a), -1);
}

/* Two ends of a connection over TCP, on loopback */
static void tcp_pair(struct channel *a, struct channel *b)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t n = sizeof(in);

	assert_int_equal(bind(listener, (struct sockaddr *)&in, n), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&in, &n), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, n), 0);
	socket_channel(a, fd);
	socket_channel(b, accept(listener, NULL, NULL));
	close(listener);
}

/* From now on the host of this end drops every segment: a black hole */
static void vanish(const struct channel *c)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &drop };

	assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
				    sizeof(prog)), 0);
}

/* Neither a close nor a reset comes: bytes that are sent are not acknowledged,
 * and while nothing is sent, probes are not answered
 */
static void a_vanished_peer_is_noticed(void **state)
{
	(void)state;
	for (unsigned sends = 0; sends < 2; sends++) {
		uint64_t start = now_ns();
		struct error err = { 0 };
		struct channel a, b;
		char byte = 0;
		int rc;

		tcp_pair(&a, &b);
		socket_set_dead_peer(&a, 1500);
		vanish(&b);
		/* So that the test ends; later than what it waits for */
		channel_set_silence(&a, 20000);
		if (sends)
			assert_int_equal(channel_send(&a, "x", 1, &err), 0);
		rc = channel_recv(&a, &byte, 1, &err);
		assert_int_equal(rc, -ETIMEDOUT);
		assert_true(now_ns() - start < 10000000000);
		assert_true(channel_ended(&a));
		channel_close(&a);
		channel_close(&b);
	}
}

/* Every connection of a link is watched so */
static void a_link_watches_its_peer(void **state)
{
	socklen_t n = sizeof(int);
	struct channel a, b;
	struct link l;
	int ms = 0;

	(void)state;
	tcp_pair(&a, &b);
	link_init(&l);
	link_begin(&l, 1, 1234);
	assert_int_equal(link_put(&l, WIRE_PUSH, 0, &a), 0);
	assert_int_equal(getsockopt(l.push[0].fd, IPPROTO_TCP,
				    TCP_USER_TIMEOUT, &ms, &n), 0);
	assert_int_equal(ms, 1234);
	link_fini(&l);
	channel_close(&b);
}

/* A host that answers is alive, however long its process says nothing */
static void a_silent_peer_is_no_dead_one(void **state)
{
	struct error err = { 0 };
	struct channel a, b;
	char byte = 0;

	(void)state;
	tcp_pair(&a, &b);
	socket_set_dead_peer(&a, 1000);
	assert_int_equal(channel_send(&a, "x", 1, &err), 0);
	usleep(3200000);
	assert_false(channel_ended(&a));
	assert_int_equal(channel_send(&b, "y", 1, &err), 0);
	assert_int_equal(channel_recv(&a, &byte, 1, &err), 0);
	channel_close(&a);
	channel_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_survive_short_reads),
		cmocka_unit_test(a_cut_at_any_operation_ends_both),
		cmocka_unit_test(silence_ends_a_wait),
		cmocka_unit_test(single_bytes_are_no_progress),
		cmocka_unit_test(the_end_is_for_all_waits_together),
		cmocka_unit_test(the_end_may_come_during_a_wait),
		cmocka_unit_test(pending_bytes_are_not_waited_for),
		cmocka_unit_test(sending_need_not_wait),
		cmocka_unit_test(a_refusal_is_printable),
		cmocka_unit_test(a_link_stays_shut),
		cmocka_unit_test(sockets_are_channels),
		cmocka_unit_test(a_vanished_peer_is_noticed),
		cmocka_unit_test(a_silent_peer_is_no_dead_one),
		cmocka_unit_test(a_link_watches_its_peer),
	};

	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
