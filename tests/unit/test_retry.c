// SPDX-License-Identifier: MIT
/* test_retry.c - When a source that has lost its link opens a new one */

#include "unit.h"

#include "migration/session/source_thread.h"
#include "vmm/base/clock.h"
#include "vmm/base/units.h"

#define MIDDLE		(UINT16_MAX / 2)

/* Is the wait @ms, give or take the rounding of @dice? */
static void assert_waits(unsigned attempts, uint16_t dice, uint64_t ms)
{
	const uint64_t ns = ms * NS_PER_MS;

	assert_in_range(source_retry_ns(attempts, dice), ns - ns / 1000,
			ns + ns / 1000);
}

static void it_doubles_up_to_a_limit(void **state)
{
	static const uint64_t ms[] = {
		100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000,
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(ms); i++)
		assert_waits(i, MIDDLE, ms[i]);
}

/* However long the network is away */
static void it_never_wraps(void **state)
{
	(void)state;
	for (unsigned i = 7; i < 100; i++)
		assert_waits(i, MIDDLE, 5000);
	assert_waits(UINT32_MAX, MIDDLE, 5000);
}

static void it_differs_by_a_quarter(void **state)
{
	(void)state;
	assert_waits(0, 0, 75);
	assert_waits(0, UINT16_MAX, 125);
	assert_waits(3, 0, 600);
	assert_waits(3, UINT16_MAX, 1000);
	/* Of the limit as well: otherwise all would meet there */
	assert_waits(50, 0, 3750);
	assert_waits(50, UINT16_MAX, 6250);
}

/* Each value is as likely as any other */
static void no_wait_is_preferred(void **state)
{
	uint64_t last = 0;

	(void)state;
	for (unsigned dice = 0; dice <= UINT16_MAX; dice += 5) {
		uint64_t ns = source_retry_ns(2, (uint16_t)dice);

		if (dice)
			assert_in_range(ns - last, 1, 200 * NS_PER_MS / 10000);
		last = ns;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_doubles_up_to_a_limit),
		cmocka_unit_test(it_never_wraps),
		cmocka_unit_test(it_differs_by_a_quarter),
		cmocka_unit_test(no_wait_is_preferred),
	};

	return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
