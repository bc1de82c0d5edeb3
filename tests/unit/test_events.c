// SPDX-License-Identifier: MIT
/* test_events.c - Events on the control socket: receivers, order, limits */

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server.h"

/* The next message must be event TEST with number @n */
static void expect_event(int fd, json_int_t n)
{
	json_t *msg = raw_read(fd);

	assert_non_null(msg);
	assert_string_equal(json_string_value(json_object_get(msg, "event")),
			    "TEST");
	assert_int_equal(raw_number(msg, "data", "n"), n);
	assert_true(raw_number(msg, "timestamp", "seconds") > 0);
	json_decref(msg);
}

static void emit(struct server *s, int n)
{
	control_event(s->control, "TEST", json_pack("{s:i}", "n", n));
}

static void events_reach_every_client(void **state)
{
	struct server *s = *state;
	int a = raw_ready(s->path), b = raw_ready(s->path), i;

	for (i = 0; i < 100; i++)
		emit(s, i);
	for (i = 0; i < 100; i++) {
		expect_event(a, i);
		expect_event(b, i);
	}
	close(a);
	close(b);
}

static void events_wait_for_negotiation(void **state)
{
	struct server *s = *state;
	int a = raw_ready(s->path), b = raw_connect(s->path);

	json_decref(raw_read(b));
	emit(s, 1);
	expect_event(a, 1);
	raw_send(b, "{\"execute\":\"qmp_capabilities\",\"id\":2}");
	raw_expect_id(b, 2);
	emit(s, 3);
	expect_event(b, 3);
	close(a);
	close(b);
}

static void a_command_can_send_events(void **state)
{
	struct server *s = *state;
	int a = raw_ready(s->path), b = raw_ready(s->path);

	raw_send(a, "{\"execute\":\"emit\",\"arguments\":{\"n\":9},\"id\":1}");
	raw_expect_id(a, 1);
	expect_event(a, 9);
	expect_event(b, 9);
	close(a);
	close(b);
}

struct emitter {
	pthread_t id;
	struct server *server;
	int first;
};

#define EMITTERS 3
#define EMITS 300

static void *emit_many(void *arg)
{
	struct emitter *e = arg;
	int i;

	for (i = 0; i < EMITS; i++)
		emit(e->server, e->first + i);
	return NULL;
}

static void events_of_a_thread_keep_their_order(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path), i, n, next[EMITTERS] = { 0 };
	struct emitter e[EMITTERS];
	json_t *msg;

	for (i = 0; i < EMITTERS; i++) {
		e[i] = (struct emitter){ .server = s, .first = i * EMITS };
		pthread_create(&e[i].id, NULL, emit_many, &e[i]);
	}
	for (i = 0; i < EMITTERS * EMITS; i++) {
		msg = raw_read(fd);
		n = raw_number(msg, "data", "n");
		assert_int_equal(next[n / EMITS]++, n % EMITS);
		json_decref(msg);
	}
	for (i = 0; i < EMITTERS; i++)
		pthread_join(e[i].id, NULL);
	close(fd);
}

/* Read all input; true if the connection ended */
static bool read_to_end(int fd)
{
	char buf[65536];
	ssize_t n;

	do {
		n = recv(fd, buf, sizeof(buf), 0);
	} while (n > 0);
	return !n || errno == ECONNRESET;
}

static void a_client_that_never_reads_is_disconnected(void **state)
{
	struct server *s = *state;
	int deaf = raw_ready(s->path), fd = raw_ready(s->path), i;
	char *big = malloc(60001);
	json_t *msg;

	assert_non_null(big);
	memset(big, 'x', 60000);
	big[60000] = '\0';
	/* 12 MB: more than the limit and the buffer of a socket */
	for (i = 0; i < 200; i++) {
		control_event(s->control, "BIG", json_pack("{s:s}", "x", big));
		msg = raw_read(fd);
		assert_non_null(json_object_get(msg, "event"));
		json_decref(msg);
	}
	assert_true(read_to_end(deaf));
	raw_expect_alive(fd);
	free(big);
	close(deaf);
	close(fd);
}

static void closing_flushes_and_removes(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path);

	/* One while the loop runs, one after it ended */
	emit(s, 1);
	server_stop(s);
	emit(s, 2);
	server_close(s);
	assert_int_equal(access(s->path, F_OK), -1);
	expect_event(fd, 1);
	expect_event(fd, 2);
	assert_null(raw_read(fd));
	close(fd);
}

static void wait_sem(void *arg)
{
	while (sem_wait(arg))
		;
}

/*
 * The main thread is busy, and more events come than the queue holds: no call
 * waits, a client that reads stays connected, and learns how many were lost.
 */
static void a_burst_is_bounded_and_never_blocks(void **state)
{
	enum { MORE = 1000 };
	struct server *s = *state;
	int fd = raw_ready(s->path), n;
	char more[300] = "";
	json_t *msg;
	sem_t busy;

	sem_init(&busy, 0, 0);
	assert_int_equal(loop_post(s->loop, wait_sem, &busy), 0);
	/* 6 MiB: more than a client may have in its output buffer */
	memset(more, 'x', sizeof(more) - 1);
	for (n = 0; n < CONTROL_EVENTS_MAX + MORE; n++)
		control_event(s->control, "TEST", json_pack("{s:i, s:s}",
							    "n", n, "x", more));
	sem_post(&busy);
	for (n = 0; n < CONTROL_EVENTS_MAX; n++)
		expect_event(fd, n);
	msg = raw_read(fd);
	assert_string_equal(json_string_value(json_object_get(msg, "event")),
			    "FERRY_EVENTS_LOST");
	assert_int_equal(raw_number(msg, "data", "count"), MORE);
	json_decref(msg);
	emit(s, n);
	expect_event(fd, n);
	raw_expect_alive(fd);
	close(fd);
	server_stop(s);
	sem_destroy(&busy);
}

static void events_without_a_control_are_freed(void **state)
{
	(void)state;
	control_event(NULL, "TEST", json_pack("{s:i}", "n", 1));
	control_event(NULL, "TEST", NULL);
	control_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVER_TEST(events_reach_every_client),
		SERVER_TEST(events_wait_for_negotiation),
		SERVER_TEST(a_command_can_send_events),
		SERVER_TEST(events_of_a_thread_keep_their_order),
		SERVER_TEST(a_client_that_never_reads_is_disconnected),
		SERVER_TEST(closing_flushes_and_removes),
		SERVER_TEST(a_burst_is_bounded_and_never_blocks),
		cmocka_unit_test(events_without_a_control_are_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
