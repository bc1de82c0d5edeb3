// SPDX-License-Identifier: MIT
/*
 * test_passes.c - Which pages a precopy pass sends, which are discarded, and
 * when the passes end
 */

#include "unit.h"

#include "migration/pages/pages.h"
#include "migration/pages/passes.h"
#include "migration/wire/wire.h"

#define N	1500u	/* not a multiple of 64 */

struct fixture {
	struct passes p;
	struct ledger l;
};

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	*state = x;
	return !x || passes_init(&x->p, N) || ledger_init(&x->l, N);
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	passes_fini(&x->p);
	ledger_fini(&x->l);
	free(x);
	return 0;
}

static void all_dirty(struct fixture *x)
{
	memset(x->p.due, 0xff, x->p.words * sizeof(*x->p.due));
}

static void no_page_behind_the_end(void **state)
{
	struct fixture *x = *state;

	all_dirty(x);
	assert_int_equal(passes_due(&x->p, &x->l), N);
	assert_int_equal(passes_due(&x->p, &x->l), N);
}

/* Pages of ZERO_LIST are taken, and were not sent by a pass */
static void announced_zeroes_stay_out(void **state)
{
	struct fixture *x = *state;
	size_t n;

	ledger_take(&x->l, 10, 100);
	all_dirty(x);
	assert_int_equal(passes_due(&x->p, &x->l), N - 100);
	assert_int_equal(passes_run(&x->p, 10, N, &n), 110);
	/* What a pass has sent is taken, too, and is due again */
	assert_int_equal(ledger_take(&x->l, 200, 5), 5);
	passes_sent(&x->p, 200, 5);
	passes_mark(&x->p, 202, 1);
	assert_int_equal(passes_due(&x->p, &x->l), N - 104);
}

/* Each page once, in runs that a message can have, alike in what was sent */
static void runs_cover_what_is_due(void **state)
{
	struct fixture *x = *state;
	size_t total = 0, n;

	all_dirty(x);
	passes_due(&x->p, &x->l);
	passes_sent(&x->p, 100, 30);
	passes_mark(&x->p, 105, 3);
	for (size_t i = 0; (i = passes_run(&x->p, i, N, &n)) < N; i += n) {
		assert_in_range(n, 1, WIRE_RUN_PAGES);
		for (size_t k = i; k < i + n; k++)
			assert_int_equal(passes_was_sent(&x->p, k),
					 passes_was_sent(&x->p, i));
		total += n;
	}
	assert_int_equal(total, N - 30 + 3);
	assert_int_equal(passes_run(&x->p, 110, 130, &n), 130);
	assert_int_equal(n, 0);
}

static void lost_pages_stay_due(void **state)
{
	struct fixture *x = *state;
	size_t n;

	/* One that was never sent has nothing to be discarded */
	passes_sent(&x->p, 20, 4);
	passes_unsent(&x->p, 21, true);
	assert_false(passes_was_sent(&x->p, 21));
	assert_int_equal(passes_due(&x->p, &x->l), 1);
	assert_int_equal(passes_discard(&x->p, 1, 0, &n), N);
	/* One of which an older copy was sent has */
	passes_sent(&x->p, 22, 1);
	passes_unsent(&x->p, 22, false);
	assert_int_equal(passes_discard(&x->p, 1, 0, &n), 22);
	assert_int_equal(n, 1);
}

static void discarded_are_sent_and_due(void **state)
{
	struct fixture *x = *state;
	size_t n;

	assert_int_equal(passes_discard(&x->p, 1, 0, &n), N);
	passes_sent(&x->p, 60, 1440);
	passes_mark(&x->p, 50, 20);	/* 50 to 59 were not sent */
	passes_mark(&x->p, 100, 1);
	passes_mark(&x->p, 130, 1);
	passes_mark(&x->p, N - 1, 1);
	assert_int_equal(passes_stale(&x->p, &x->l), 10 + 1 + 1 + 1);
	assert_int_equal(passes_discard(&x->p, 1, 0, &n), 60);
	assert_int_equal(n, 10);
	assert_int_equal(passes_discard(&x->p, 1, 70, &n), 100);
	assert_int_equal(n, 1);
	assert_int_equal(passes_discard(&x->p, 1, 101, &n), 130);
	assert_int_equal(passes_discard(&x->p, 1, 131, &n), N - 1);
	assert_int_equal(n, 1);
	assert_int_equal(passes_discard(&x->p, 1, N, &n), N);
}

static void assert_shown(struct fixture *x, size_t page, enum page_show want)
{
	uint8_t show;

	ledger_show(&x->l, page, 1, &show);
	assert_int_equal(show, want);
}

/* Until it is sent again, or the passes end */
static void dirty_pages_are_shown(void **state)
{
	struct fixture *x = *state;

	assert_int_equal(ledger_dirty_begin(&x->l), 0);
	ledger_take(&x->l, 0, 200);
	passes_sent(&x->p, 0, 200);
	passes_mark(&x->p, 60, 10);
	passes_mark(&x->p, 300, 1);	/* never sent */
	assert_shown(x, 63, SHOW_MOVED);
	passes_stale(&x->p, &x->l);
	assert_shown(x, 59, SHOW_MOVED);
	assert_shown(x, 60, SHOW_DIRTY);
	assert_shown(x, 69, SHOW_DIRTY);
	assert_shown(x, 70, SHOW_MOVED);
	assert_shown(x, 300, SHOW_HERE);
	ledger_dirty_sent(&x->l, 62, 4);
	assert_shown(x, 61, SHOW_DIRTY);
	assert_shown(x, 62, SHOW_MOVED);
	assert_shown(x, 65, SHOW_MOVED);
	assert_shown(x, 66, SHOW_DIRTY);
	ledger_dirty_end(&x->l);
	assert_shown(x, 66, SHOW_MOVED);
	passes_stale(&x->p, &x->l);
	assert_shown(x, 66, SHOW_MOVED);
}

/* A huge page: any page that was sent, and any that is due */
static void huge_pages_are_discarded_whole(void **state)
{
	struct fixture *x = *state;
	size_t n;

	passes_sent(&x->p, 0, 1);
	passes_mark(&x->p, 511, 1);
	passes_sent(&x->p, 600, 10);
	passes_mark(&x->p, 1100, 1);
	assert_int_equal(passes_discard(&x->p, CHUNK_PAGES, 0, &n), 0);
	assert_int_equal(n, CHUNK_PAGES);
	assert_int_equal(passes_discard(&x->p, CHUNK_PAGES, CHUNK_PAGES, &n),
			 N);
	passes_sent(&x->p, 1490, 1);
	passes_mark(&x->p, 600, 1);
	assert_int_equal(passes_discard(&x->p, CHUNK_PAGES, 0, &n), 0);
	/* Up to the end of RAM, if that is no whole block */
	assert_int_equal(n, N);
}

static void as_many_as_wanted(void **state)
{
	struct pass_record r = { .limit = 2, .due = 100, .sent = 100,
				 .ns = 1000 };

	(void)state;
	assert_true(passes_again(&r, 0));
	r.done = 1;
	assert_true(passes_again(&r, UINT64_MAX));
	r.done = 2;
	assert_false(passes_again(&r, 0));
	/* Nothing to send: one more pass would be empty */
	r.done = 1;
	r.due = 0;
	assert_false(passes_again(&r, 0));
}

static void auto_ends_when_it_is_worth_it(void **state)
{
	struct pass_record r = { .limit = PASSES_AUTO, .done = 1, .sent = 1000,
				 .ns = 1000000, .due = 500 };

	(void)state;
	assert_int_equal(passes_ns(&r), 500000);
	assert_true(passes_again(&r, 499999));
	assert_false(passes_again(&r, 500000));
	/* It has not shrunk by a quarter */
	r.due = 750;
	assert_false(passes_again(&r, 0));
	r.due = 749;
	assert_true(passes_again(&r, 0));
	r.done = PASSES_MAX;
	assert_false(passes_again(&r, 0));
	/* A pass without a page takes no time for each */
	r = (struct pass_record){ .limit = PASSES_AUTO, .done = 1, .due = 5,
				  .ns = 7 };
	assert_int_equal(passes_ns(&r), 0);
	assert_false(passes_again(&r, 0));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(no_page_behind_the_end),
		CASE(announced_zeroes_stay_out),
		CASE(runs_cover_what_is_due),
		CASE(lost_pages_stay_due),
		CASE(discarded_are_sent_and_due),
		CASE(dirty_pages_are_shown),
		CASE(huge_pages_are_discarded_whole),
		cmocka_unit_test(as_many_as_wanted),
		cmocka_unit_test(auto_ends_when_it_is_worth_it),
	};

	return cmocka_run_group_tests_name("passes", tests, NULL, NULL);
}
