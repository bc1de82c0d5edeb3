// SPDX-License-Identifier: MIT
/* test_pacer.c - A bandwidth limit that holds, and no credit for idle time */

#include <pthread.h>

#include "unit.h"

#include "migration/pages/pacer.h"

#define MB	1000000ull
#define SECOND	1000000000ull

/* Send in pieces of @piece as the pacer allows. Return: bytes by @end */
static uint64_t send_until(struct pacer *p, uint64_t now, uint64_t end,
			   uint64_t piece)
{
	uint64_t sent = 0, wait;

	for (;; now += 1000) {
		while ((wait = pacer_wait_ns(p, now)))
			now += wait;
		if (now >= end)
			return sent;
		pacer_spend(p, now, piece);
		sent += piece;
	}
}

static void no_limit_never_waits(void **state)
{
	struct pacer p = { 0 };

	(void)state;
	pacer_spend(&p, SECOND, 1ull << 40);
	assert_int_equal(pacer_wait_ns(&p, SECOND), 0);
}

static void the_limit_holds(void **state)
{
	(void)state;
	for (uint64_t limit = 2 * MB; limit < 2000 * MB; limit *= 3) {
		struct pacer p = { 0 };
		uint64_t sent;

		pacer_set_limit(&p, limit);
		sent = send_until(&p, 50 * SECOND, 52 * SECOND, 100000);
		assert_in_range(sent, 2 * limit * 98 / 100,
				2 * limit * 102 / 100 + 200000);
	}
}

/* An hour without anything to send is worth PACER_BURST_NS, not an hour */
static void idle_time_is_no_credit(void **state)
{
	struct pacer p = { 0 };
	uint64_t sent, burst = 100 * MB * PACER_BURST_NS / SECOND;

	(void)state;
	pacer_set_limit(&p, 100 * MB);
	send_until(&p, SECOND, 2 * SECOND, 100000);
	sent = send_until(&p, 3600 * SECOND, 3600 * SECOND + SECOND / 10,
			  100000);
	assert_in_range(sent, 10 * MB, 10 * MB + burst + 200000);
}

/* More than the credit may be sent at once: then the next waits for it */
static void a_large_piece_is_paid_for(void **state)
{
	struct pacer p = { 0 };

	(void)state;
	pacer_set_limit(&p, 1 * MB);
	pacer_spend(&p, 10 * SECOND, 1 * MB);
	assert_in_range(pacer_wait_ns(&p, 10 * SECOND),
			SECOND - PACER_BURST_NS, SECOND);
	assert_int_equal(pacer_wait_ns(&p, 11 * SECOND), 0);
}

/* A new limit is for what comes */
static void a_new_limit_counts_at_once(void **state)
{
	struct pacer p = { 0 };

	(void)state;
	pacer_set_limit(&p, 1 * MB);
	pacer_spend(&p, 10 * SECOND, 100 * MB);
	pacer_set_limit(&p, 1 * MB);
	assert_true(pacer_wait_ns(&p, 10 * SECOND) > 90 * SECOND);
	pacer_set_limit(&p, 1000 * MB);
	assert_int_equal(pacer_wait_ns(&p, 10 * SECOND), 0);
	pacer_spend(&p, 10 * SECOND, 1000 * MB);
	pacer_set_limit(&p, 0);
	assert_int_equal(pacer_wait_ns(&p, 10 * SECOND), 0);
}

static void *spend_many(void *arg)
{
	for (unsigned i = 0; i < 50000; i++)
		pacer_spend(arg, 10 * SECOND, 100);
	return NULL;
}

static void threads_pay_for_all(void **state)
{
	struct pacer p = { 0 };
	pthread_t t[2];

	(void)state;
	pacer_set_limit(&p, 10 * MB);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, spend_many, &p),
				 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(pacer_wait_ns(&p, 10 * SECOND),
			 SECOND - PACER_BURST_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_limit_never_waits),
		cmocka_unit_test(the_limit_holds),
		cmocka_unit_test(idle_time_is_no_credit),
		cmocka_unit_test(a_large_piece_is_paid_for),
		cmocka_unit_test(a_new_limit_counts_at_once),
		cmocka_unit_test(threads_pay_for_all),
	};

	return cmocka_run_group_tests_name("pacer", tests, NULL, NULL);
}
