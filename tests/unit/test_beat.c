// SPDX-License-Identifier: MIT
/* test_beat.c - The heartbeat: a dead peer is noticed, a slow one is not dead */

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#include "migration/session/beat.h"
#include "vmm/base/clock.h"

#define DEAD_MS		200u
#define BEAT_MS		20u

struct fixture {
	struct session se;
	struct session_limits limits;
	struct progress progress;
	int peer;
	_Atomic bool stop;
	unsigned gap_us;	/* between two bytes of BEAT messages */
	pthread_t thread;
};

static void perform(struct session *se, unsigned actions)
{
	(void)se;
	(void)actions;
}

static enum progress_status show(struct session *se, unsigned phase)
{
	(void)se;
	(void)phase;
	return PROGRESS_POSTCOPY;
}

static void on_status(void *ctx, enum progress_status status)
{
	(void)ctx;
	(void)status;
}

static const struct session_ops ops = {
	.step = source_step, .perform = perform, .show = show,
};
static const struct session_env env;

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	struct channel c;
	int fd[2];

	*state = x;
	session_limits_init(&x->limits);
	x->limits.dead_peer_ms = DEAD_MS;
	x->limits.beat_ms = BEAT_MS;
	progress_init(&x->progress, on_status, NULL);
	session_init(&x->se, &ops, &env, &x->limits, &x->progress);
	x->se.phase = SOURCE_POSTCOPY;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	socket_channel(&c, fd[0]);
	x->peer = fd[1];
	link_begin(&x->se.link, 1, DEAD_MS);
	return link_put(&x->se.link, WIRE_MAIN, 0, &c);
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	x->stop = true;
	if (x->gap_us)
		pthread_join(x->thread, NULL);
	session_fini(&x->se);
	close(x->peer);
	free(x);
	return 0;
}

/* BEAT messages, byte by byte */
static void *trickle(void *arg)
{
	const struct wire_msg m = { .type = WIRE_MSG_BEAT };
	struct fixture *x = arg;
	uint8_t head[WIRE_HEADER];

	wire_put(head, &m);
	for (size_t i = 0; !x->stop; i++) {
		send(x->peer, head + i % WIRE_HEADER, 1, MSG_NOSIGNAL);
		usleep(x->gap_us);
	}
	return NULL;
}

static void start_trickle(struct fixture *x, unsigned gap_us)
{
	x->gap_us = gap_us;
	pthread_create(&x->thread, NULL, trickle, x);
}

/* Until the other side is dead, or the time is over. Return: as beat_turn() */
static int turn_for(struct fixture *x, unsigned ms, struct error *err)
{
	const uint64_t end = now_ns() + ms * 1000000ull;
	struct wire_msg m;
	struct beat b;
	int rc = 0;

	beat_begin(&b, &x->se);
	while (!rc && now_ns() < end)
		rc = beat_turn(&b, 1000, &m, "BEAT", err);
	return rc;
}

static void silence_is_death(void **state)
{
	struct error err = { 0 };
	uint64_t begin = now_ns();

	assert_refused(turn_for(*state, 100 * DEAD_MS, &err), ETIMEDOUT, err,
		       "ferry-dead-peer-timeout");
	assert_true(now_ns() - begin >= DEAD_MS * 1000000ull);
}

/* A byte every 20 ms: 32 of them take longer than a peer may be silent */
static void single_bytes_are_no_life(void **state)
{
	struct error err = { 0 };

	start_trickle(*state, 20000);
	assert_refused(turn_for(*state, 100 * DEAD_MS, &err), ETIMEDOUT, err,
		       "ferry-dead-peer-timeout");
}

/* Whole messages, however they come */
static void whole_messages_are_life(void **state)
{
	struct fixture *x = *state;
	struct error err = { 0 };

	x->limits.dead_peer_ms = 2000;
	start_trickle(x, 5000);
	assert_int_equal(turn_for(x, 5000, &err), 0);
}

static void it_beats(void **state)
{
	struct fixture *x = *state;
	struct error err = { 0 };
	uint8_t head[WIRE_HEADER];
	struct wire_msg m;
	unsigned n = 0;

	turn_for(x, 100 * DEAD_MS, &err);
	while (recv(x->peer, head, sizeof(head), MSG_DONTWAIT) ==
	       sizeof(head)) {
		assert_int_equal(wire_get(head, &m, &err), 0);
		assert_int_equal(m.type, WIRE_MSG_BEAT);
		n++;
	}
	/* Not more often than the interval; a busy machine may beat less often */
	assert_in_range(n, 1, DEAD_MS / BEAT_MS + 1);
}

static void a_wake_ends_the_wait(void **state)
{
	struct fixture *x = *state;
	struct error err = { 0 };
	struct wire_msg m;
	struct beat b;

	x->limits.dead_peer_ms = x->limits.beat_ms = 60000;
	beat_begin(&b, &x->se);
	session_wake(&x->se);
	assert_int_equal(beat_turn(&b, 60000, &m, "BEAT", &err), 0);
}

static void another_message_is_handed_out(void **state)
{
	struct wire_msg m = { .type = WIRE_MSG_COMPLETE, .length = 4 };
	struct fixture *x = *state;
	struct error err = { 0 };
	uint8_t head[WIRE_HEADER];
	struct beat b;

	x->se.phase = SOURCE_FINISHING;
	wire_put(head, &m);
	send(x->peer, head, sizeof(head), 0);
	beat_begin(&b, &x->se);
	assert_int_equal(beat_turn(&b, 1000, &m, "COMPLETE", &err), 1);
	assert_int_equal(m.type, WIRE_MSG_COMPLETE);
	assert_int_equal(x->se.phase, SOURCE_COMPLETED);
}

/* ENDED: its text becomes the error, and one line of printable ASCII */
static void the_end_is_told(void **state)
{
	struct wire_msg m = { .type = WIRE_MSG_ENDED, .length = 6 };
	struct fixture *x = *state;
	struct error err = { 0 };
	uint8_t head[WIRE_HEADER];
	struct beat b;

	wire_put(head, &m);
	send(x->peer, head, sizeof(head), 0);
	send(x->peer, "off\n\x1b.", 6, 0);
	beat_begin(&b, &x->se);
	assert_refused(beat_turn(&b, 1000, &m, "BEAT", &err), ECONNREFUSED,
		       err, "has ended at the destination: off??.");
	assert_int_equal(x->se.phase, SOURCE_COMPLETED);
}

#define BEAT_TEST(fn)	cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BEAT_TEST(silence_is_death),
		BEAT_TEST(single_bytes_are_no_life),
		BEAT_TEST(whole_messages_are_life),
		BEAT_TEST(it_beats),
		BEAT_TEST(a_wake_ends_the_wait),
		BEAT_TEST(another_message_is_handed_out),
		BEAT_TEST(the_end_is_told),
	};

	return cmocka_run_group_tests_name("beat", tests, NULL, NULL);
}
