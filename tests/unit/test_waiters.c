// SPDX-License-Identifier: MIT
/* test_waiters.c - Each wait is counted once, for its vCPU, by any thread */

#include <pthread.h>

#include "unit.h"

#include "migration/pages/waiters.h"

static void (*at_point)(struct waiters *w);

#define RACE_POINT(name)	(at_point ? at_point(w) : (void)0)

#include "migration/pages/waiters.c"
#include "vmm/base/clock.h"

static struct page_stats stats;

static void table_init(struct waiters *w)
{
	page_stats_clear(&stats);
	*w = (struct waiters){ .stats = &stats };
}

static void a_wait_is_counted_for_its_vcpu(void **state)
{
	static struct waiters w;

	(void)state;
	table_init(&w);
	waiters_add(&w, 70, 3, now_ns() - 5000000);
	waiters_add(&w, 0, 2, now_ns());
	assert_true(waiters_has(&w, 3));
	assert_false(waiters_has(&w, 4));
	waiters_done(&w, 69, 1);
	waiters_done(&w, 71, 100);
	waiters_done(&w, 1, 64);
	assert_int_equal(stats.demand.count, 0);
	waiters_done(&w, 10, 64);
	assert_int_equal(stats.demand.count, 1);
	assert_int_equal(stats.vcpu[3].count, 1);
	assert_true(stats.vcpu[3].max >= 5000000);
	assert_false(waiters_has(&w, 3));
	waiters_done(&w, 70, 1);
	assert_int_equal(stats.demand.count, 1);
	waiters_done(&w, 0, 1);
	assert_int_equal(stats.vcpu[2].count, 1);
	assert_int_equal(w.n, 0);
}

/* A vCPU that was kicked reports its fault again; two workers may share one */
static void the_same_wait_is_one_entry(void **state)
{
	static struct waiters w;

	(void)state;
	table_init(&w);
	for (unsigned i = 0; i < 3; i++)
		waiters_add(&w, 7, 1, now_ns());
	waiters_add(&w, 7, PAGE_STATS_OTHER, now_ns());
	waiters_add(&w, 7, PAGE_STATS_OTHER, now_ns());
	waiters_done(&w, 7, 1);
	assert_int_equal(stats.demand.count, 3);
	assert_int_equal(stats.vcpu[PAGE_STATS_OTHER].count, 2);
}

static void a_wait_can_be_named(void **state)
{
	static struct waiters w;

	(void)state;
	table_init(&w);
	waiters_add(&w, 7, PAGE_STATS_OTHER, now_ns());
	waiters_name(&w, 8, 5);
	assert_false(waiters_has(&w, 5));
	waiters_name(&w, 7, 5);
	assert_true(waiters_has(&w, 5));
	assert_false(waiters_has(&w, PAGE_STATS_OTHER));
	waiters_name(&w, 7, 6);
	waiters_done(&w, 0, 10);
	assert_int_equal(stats.vcpu[5].count, 1);
}

static void the_oldest_is_known(void **state)
{
	static struct waiters w;

	(void)state;
	table_init(&w);
	assert_int_equal(waiters_oldest(&w), 0);
	waiters_add(&w, 1, 0, 300);
	waiters_add(&w, 2, 1, 100);
	waiters_add(&w, 3, 2, 200);
	assert_int_equal(waiters_oldest(&w), 100);
	waiters_done(&w, 2, 1);
	assert_int_equal(waiters_oldest(&w), 200);
	waiters_done(&w, 1, 3);
	assert_int_equal(waiters_oldest(&w), 0);
}

/* For requests after a lost link: each page once, the longest wait first */
static void pages_are_listed_by_age(void **state)
{
	struct waiting_page p[WAITERS_MAX];
	static struct waiters w;
	uint64_t seed = 3;

	(void)state;
	table_init(&w);
	assert_int_equal(waiters_pages(&w, p), 0);
	waiters_add(&w, 10, 0, 300);
	waiters_add(&w, 20, 1, 100);
	waiters_add(&w, 10, 2, 50);
	waiters_add(&w, 0, 3, 200);
	waiters_add(&w, 30, 4, 10);
	waiters_done(&w, 30, 1);
	waiters_add(&w, 20, 5, 400);
	assert_int_equal(waiters_pages(&w, p), 3);
	assert_int_equal(p[0].page, 10);
	assert_int_equal(p[0].since, 50);
	assert_int_equal(p[1].page, 20);
	assert_int_equal(p[1].since, 100);
	assert_int_equal(p[2].page, 0);
	for (unsigned i = 0; i < WAITERS_MAX; i++)
		waiters_add(&w, 100 + i % 77, PAGE_STATS_OTHER,
			    1 + dice(&seed) % 1000);
	assert_int_equal(waiters_pages(&w, p), 80);
	for (unsigned i = 1; i < 80; i++)
		assert_true(p[i - 1].since <= p[i].since);
}

static void slots_are_reused_and_bounded(void **state)
{
	static struct waiters w;

	(void)state;
	table_init(&w);
	for (unsigned i = 0; i < 1000; i++) {
		waiters_add(&w, i, i % 64, now_ns());
		waiters_done(&w, i, 1);
	}
	assert_int_equal(w.top, 1);
	for (unsigned i = 0; i < WAITERS_MAX + 10; i++)
		waiters_add(&w, i, PAGE_STATS_OTHER, now_ns());
	assert_int_equal(w.n, WAITERS_MAX);
	waiters_done(&w, 0, SIZE_MAX);
	assert_int_equal(stats.demand.count, 1000 + WAITERS_MAX);
}

/* The fault thread adds and names while bulk threads end waits: none is lost,
 * none counted twice
 */
static struct waiters shared;
static _Atomic bool over;

static void *end_waits(void *arg)
{
	(void)arg;
	while (!over)
		waiters_done(&shared, 0, 1000);
	return NULL;
}

static void threads_count_each_once(void **state)
{
	enum { WAITS = 20000 };
	pthread_t t[2];
	size_t sum = 0;

	(void)state;
	table_init(&shared);
	over = false;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, end_waits, NULL),
				 0);
	for (unsigned i = 0; i < WAITS; i++) {
		while (shared.n >= WAITERS_MAX)
			;
		waiters_add(&shared, i % 1000, PAGE_STATS_OTHER, now_ns());
		if (i % 2)
			waiters_name(&shared, i % 1000, i % 64);
	}
	over = true;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	waiters_done(&shared, 0, 1000);
	assert_int_equal(stats.demand.count, WAITS);
	for (unsigned i = 0; i <= PAGE_STATS_VCPUS; i++)
		sum += stats.vcpu[i].count;
	assert_int_equal(sum, WAITS);
	assert_int_equal(shared.n, 0);
	/* No slot's time was taken for another wait's: none is hours long */
	assert_true(stats.demand.max < 60000000000ull);
}

/*
 * A bulk thread has read an entry's key and time. Before it removes the entry,
 * another thread does, and the fault thread uses the slot for the same vCPU and
 * page: the old time must not be counted for the new wait, which goes on.
 */
static void use_slot_again(struct waiters *w)
{
	at_point = NULL;
	waiters_done(w, 7, 1);
	waiters_add(w, 7, 3, now_ns());
}

static void a_slot_that_is_used_again_is_another_wait(void **state)
{
	static struct waiters w;

	(void)state;
	table_init(&w);
	waiters_add(&w, 7, 3, now_ns() - 3600000000000ull);
	at_point = use_slot_again;
	waiters_done(&w, 7, 1);
	assert_null(at_point);
	assert_int_equal(w.top, 1);
	assert_int_equal(stats.demand.count, 1);
	assert_true(waiters_has(&w, 3));
	assert_int_equal(w.n, 1);
	waiters_done(&w, 7, 1);
	assert_int_equal(stats.vcpu[3].count, 2);
	assert_int_equal(w.n, 0);
}

/* The entry gets its vCPU's name at the same moment: it is still that entry */
static void name_it(struct waiters *w)
{
	at_point = NULL;
	waiters_name(w, 7, 5);
}

static void a_wait_that_is_named_meanwhile_ends(void **state)
{
	static struct waiters w;

	(void)state;
	table_init(&w);
	waiters_add(&w, 7, PAGE_STATS_OTHER, now_ns());
	at_point = name_it;
	waiters_done(&w, 7, 1);
	assert_int_equal(stats.vcpu[5].count, 1);
	assert_int_equal(w.n, 0);
	assert_false(waiters_has(&w, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wait_is_counted_for_its_vcpu),
		cmocka_unit_test(the_same_wait_is_one_entry),
		cmocka_unit_test(a_wait_can_be_named),
		cmocka_unit_test(the_oldest_is_known),
		cmocka_unit_test(pages_are_listed_by_age),
		cmocka_unit_test(slots_are_reused_and_bounded),
		cmocka_unit_test(threads_count_each_once),
		cmocka_unit_test(a_slot_that_is_used_again_is_another_wait),
		cmocka_unit_test(a_wait_that_is_named_meanwhile_ends),
	};

	return cmocka_run_group_tests_name("waiters", tests, NULL, NULL);
}
