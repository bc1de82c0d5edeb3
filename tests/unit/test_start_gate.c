// SPDX-License-Identifier: MIT
/* test_start_gate.c - Threads start when they are let in, or never */

#include <pthread.h>
#include <unistd.h>

#include "unit.h"

#include "migration/session/start_gate.h"

#define THREADS	3
#define WAIT_US	20000

static struct start_gate gate;
static _Atomic unsigned started, refused;

static void *wait_for_gate(void *arg)
{
	(void)arg;
	if (start_gate_wait(&gate))
		started++;
	else
		refused++;
	return NULL;
}

static void let_threads_meet(enum start_state state)
{
	pthread_t id[THREADS];

	started = refused = 0;
	start_gate_init(&gate);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&id[i], NULL, wait_for_gate,
						NULL), 0);
	usleep(WAIT_US);
	assert_int_equal(started + refused, 0);
	start_gate_set(&gate, state);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(id[i], NULL), 0);
	start_gate_fini(&gate);
}

static void they_start(void **state)
{
	(void)state;
	let_threads_meet(START_GO);
	assert_int_equal(started, THREADS);
}

static void they_end_without_having_started(void **state)
{
	(void)state;
	let_threads_meet(START_QUIT);
	assert_int_equal(refused, THREADS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_start),
		cmocka_unit_test(they_end_without_having_started),
	};

	return cmocka_run_group_tests_name("start gate", tests, NULL, NULL);
}
