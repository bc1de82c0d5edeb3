// SPDX-License-Identifier: MIT
/* test_answer_size.c - How much follows an answer: for each kind of vCPU */

#include "unit.h"

#include "migration/pages/answer_size.h"

#define MS	1000000ull
#define WINDOW	(100 * MS)
#define NOT_A_WALK	1000003u	/* pages from one request to the next */

static void busy_goes_up_and_idle_to_a_page(void **state)
{
	(void)state;
	for (unsigned i = ANSWER_PAGE; i <= ANSWER_BLOCK; i++) {
		enum answer_level l = i, up = i < ANSWER_BLOCK ? i + 1 : i;

		assert_int_equal(answer_size_step(l, true, 0, WINDOW), up);
		assert_int_equal(answer_size_step(l, true, 5 * MS, WINDOW), up);
		/* Between the two shares nothing changes */
		assert_int_equal(answer_size_step(l, true, 5 * MS + 1, WINDOW), l);
		assert_int_equal(answer_size_step(l, true, 12 * MS - 1, WINDOW),
				 l);
		assert_int_equal(answer_size_step(l, true, 12 * MS, WINDOW),
				 ANSWER_PAGE);
		assert_int_equal(answer_size_step(l, true, WINDOW, WINDOW),
				 ANSWER_PAGE);
		/* One that was halted all the time */
		assert_int_equal(answer_size_step(l, false, 0, WINDOW),
				 ANSWER_PAGE);
	}
}

/*
 * A window in which vCPU 0 was idle for so long; vCPU 1 always, for short times;
 * vCPU 2 in one halt, which has not ended
 */
static void window_pass(struct answer_size *a, uint64_t *now, uint64_t idle)
{
	static uint64_t all;

	assert_false(answer_size_due(a, *now + ANSWER_WINDOW_NS - 1));
	*now += ANSWER_WINDOW_NS;
	all += idle;
	assert_true(answer_size_due(a, *now));
	answer_size_measure(a, 0, all, *now / 2, false, *now);
	answer_size_measure(a, 1, *now, *now / 3, false, *now);
	answer_size_measure(a, 2, 0, 5, false, *now);
	answer_size_next(a, 3, *now);
}

static void assert_around(struct answer_size *a, unsigned vcpu, size_t before,
			  size_t after)
{
	static size_t walk = 1;
	const size_t page = (walk++ * NOT_A_WALK / 512 * 512) + 70;
	struct around r = answer_size_around(a, page, vcpu);

	assert_int_equal(r.before, before);
	assert_int_equal(r.after, after);
}

static void each_vcpu_has_its_own(void **state)
{
	struct answer_size a = { 0 };
	uint64_t now = 1000 * MS;

	(void)state;
	assert_true(answer_size_due(&a, now));
	answer_size_measure(&a, 0, 0, 0, false, now);
	answer_size_measure(&a, 1, 0, 0, false, now);
	answer_size_measure(&a, 2, 0, 5, false, now);
	answer_size_next(&a, 3, now);
	assert_around(&a, 0, 0, 0);
	window_pass(&a, &now, 0);
	assert_around(&a, 0, 6, 57);
	assert_around(&a, PAGE_STATS_OTHER, 6, 57);
	window_pass(&a, &now, 0);
	window_pass(&a, &now, 0);
	assert_around(&a, 0, 70, 441);
	assert_around(&a, PAGE_STATS_OTHER, 70, 441);
	assert_around(&a, 1, 0, 0);
	assert_around(&a, 2, 0, 0);
	window_pass(&a, &now, ANSWER_WINDOW_NS / 2);
	assert_around(&a, 0, 0, 0);
	assert_around(&a, PAGE_STATS_OTHER, 0, 0);
}

/* For a page, through a whole window: it was not halted */
static void a_vcpu_that_waits_keeps_its_level(void **state)
{
	struct answer_size a = { .since = 1, .vcpu = {
		{ .exits = 7, .level = ANSWER_RUN },
		{ .exits = 7, .level = ANSWER_RUN },
		{ .exits = 7, .level = ANSWER_RUN },
	} };
	uint64_t now = 1 + ANSWER_WINDOW_NS;

	(void)state;
	answer_size_measure(&a, 0, 0, 7, true, now);
	answer_size_measure(&a, 1, 0, 7, false, now);
	/* It has run before it waits */
	answer_size_measure(&a, 2, ANSWER_WINDOW_NS / 2, 8, true, now);
	assert_int_equal(a.vcpu[0].level, ANSWER_RUN);
	assert_int_equal(a.vcpu[1].level, ANSWER_PAGE);
	assert_int_equal(a.vcpu[2].level, ANSWER_PAGE);
}

static void what_is_unknown_changes_nothing(void **state)
{
	struct answer_size a = { 0 };

	(void)state;
	for (uint64_t now = 1000 * MS; now < 2000 * MS; now += 20 * MS) {
		answer_size_measure(&a, 0, UINT64_MAX, now, false, now);
		answer_size_next(&a, 1, now);
		assert_around(&a, 0, 0, 0);
	}
}

/* A walk gets the larger one of both */
static void a_walk_has_more(void **state)
{
	static const size_t want[] = { 0, 4, 8, 16, 32, 32 };
	struct answer_size a = { 0 };
	size_t page = 5120;

	(void)state;
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct around r = answer_size_around(&a, page, 0);

		assert_int_equal(r.before, 0);
		assert_int_equal(r.after, want[i]);
		page += 1 + r.after;
	}
	a.vcpu[0].level = ANSWER_RUN;
	page = 5120 + 63;
	answer_size_around(&a, page - 1, 0);
	assert_int_equal(answer_size_around(&a, page, 0).after, 4);
	assert_int_equal(answer_size_around(&a, page + 64, 0).before, 63);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(busy_goes_up_and_idle_to_a_page),
		cmocka_unit_test(each_vcpu_has_its_own),
		cmocka_unit_test(a_vcpu_that_waits_keeps_its_level),
		cmocka_unit_test(what_is_unknown_changes_nothing),
		cmocka_unit_test(a_walk_has_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
