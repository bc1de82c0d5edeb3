// SPDX-License-Identifier: MIT
/* test_flood.c - What a guest repeats is reported a bounded number of times */

#include "unit.h"

#include "vmm/machine/flood.h"

static unsigned passed(struct flood *f, uint64_t from, uint64_t ms)
{
	unsigned n = 0;

	for (uint64_t t = from; t < from + ms; t++)
		n += flood_pass(f, t);
	return n;
}

static void a_burst_then_one_each_interval(void **state)
{
	const unsigned long ms = 60 * FLOOD_INTERVAL_MS;
	struct flood f = { 0 };
	unsigned n = passed(&f, 123456, ms);

	(void)state;
	assert_in_range(n, FLOOD_BURST + 59, FLOOD_BURST + 60);
	assert_int_equal(f.held, ms - n);
}

static void a_few_all_pass(void **state)
{
	struct flood f = { 0 };

	(void)state;
	for (uint64_t t = 0; t < 100; t++)
		assert_true(flood_pass(&f, t * FLOOD_INTERVAL_MS));
	assert_int_equal(f.held, 0);
}

static void quiet_time_restores_the_burst_and_no_more(void **state)
{
	struct flood f = { 0 };

	(void)state;
	passed(&f, 0, 100);
	f.held = 0;
	assert_int_equal(passed(&f, 1000 * FLOOD_INTERVAL_MS, 100),
			 FLOOD_BURST);
	assert_int_equal(f.held, 100 - FLOOD_BURST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_then_one_each_interval),
		cmocka_unit_test(a_few_all_pass),
		cmocka_unit_test(quiet_time_restores_the_burst_and_no_more),
	};

	return cmocka_run_group_tests_name("flood", tests, NULL, NULL);
}
