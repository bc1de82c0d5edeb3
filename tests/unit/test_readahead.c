// SPDX-License-Identifier: MIT
/* test_readahead.c - Pages behind an answer: for walks, not for jumps */

#include "unit.h"

#include "migration/pages/readahead.h"

static void a_walk_gets_more_and_more(void **state)
{
	static const size_t want[] = { 0, 4, 8, 16, 32, 32, 32 };
	struct readahead r = { 0 };
	size_t page = 1000;

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		size_t n = readahead_pages(&r, page);

		assert_int_equal(n, want[i]);
		page += 1 + n;
	}
}

static void a_stride_within_the_gap_is_a_walk(void **state)
{
	struct readahead r = { 0 };
	size_t n = readahead_pages(&r, 50);

	(void)state;
	assert_int_equal(n, 0);
	assert_int_equal(readahead_pages(&r, 51 + READAHEAD_GAP), 4);
}

static void jumps_get_nothing(void **state)
{
	struct readahead r = { 0 };
	uint64_t seed = 42;
	size_t sum = 0;

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		sum += readahead_pages(&r, dice(&seed) % (1ull << 40));
	assert_int_equal(sum, 0);
}

static void backward_is_no_walk(void **state)
{
	struct readahead r = { 0 };

	(void)state;
	for (size_t page = 5000; page > 4000; page--)
		assert_int_equal(readahead_pages(&r, page), 0);
}

/* As many walks as there are streams don't disturb each other */
static void walks_side_by_side(void **state)
{
	struct readahead r = { 0 };
	size_t at[READAHEAD_STREAMS];

	(void)state;
	for (size_t k = 0; k < READAHEAD_STREAMS; k++)
		at[k] = k * 100000;
	for (unsigned round = 0; round < 20; round++)
		for (size_t k = 0; k < READAHEAD_STREAMS; k++) {
			size_t n = readahead_pages(&r, at[k]);

			at[k] += 1 + n;
			assert_true(n <= READAHEAD_MAX);
			if (round > 4)
				assert_int_equal(n, READAHEAD_MAX);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_walk_gets_more_and_more),
		cmocka_unit_test(a_stride_within_the_gap_is_a_walk),
		cmocka_unit_test(jumps_get_nothing),
		cmocka_unit_test(backward_is_no_walk),
		cmocka_unit_test(walks_side_by_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
