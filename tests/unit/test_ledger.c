// SPDX-License-Identifier: MIT
/* test_ledger.c - A page is taken once; a held page is left, and comes back */

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "unit.h"

#include "migration/pages/ledger.h"

static void (*at_point)(struct ledger *l, const char *name);

#define RACE_POINT(name)	(at_point ? at_point(l, #name) : (void)0)

#include "migration/pages/ledger.c"
#include "migration/pages/page_source.h"

static void a_run_stops_at_the_first_that_is_taken(void **state)
{
	struct ledger l;

	(void)state;
	assert_int_equal(ledger_init(&l, 300), 0);
	assert_int_equal(ledger_left(&l), 300);
	assert_int_equal(ledger_take(&l, 130, 1), 1);
	assert_int_equal(ledger_take(&l, 60, 200), 70);
	assert_int_equal(ledger_take(&l, 60, 200), 0);
	assert_int_equal(ledger_take(&l, 131, 1000), 169);
	assert_int_equal(ledger_take(&l, 0, 300), 60);
	assert_int_equal(ledger_left(&l), 0);
	for (size_t i = 0; i < 300; i++)
		assert_true(ledger_test(&l, i));
	assert_int_equal(ledger_next(&l, 0, 300), 300);
	ledger_fini(&l);
}

/* Sizes around the 64 bits of a word, each run of each length */
static void borders_of_words(void **state)
{
	static const size_t sizes[] = { 1, 63, 64, 65, 127, 128, 129 };

	(void)state;
	for (unsigned k = 0; k < 7; k++) {
		size_t n = sizes[k];

		for (size_t i = 0; i < n; i++) {
			struct ledger l;

			assert_int_equal(ledger_init(&l, n), 0);
			assert_int_equal(ledger_take(&l, i, SIZE_MAX), n - i);
			assert_int_equal(ledger_left(&l), i);
			assert_int_equal(ledger_next(&l, i, n), n);
			assert_int_equal(ledger_next(&l, 0, n), i ? 0 : n);
			ledger_fini(&l);
		}
	}
}

static size_t plain_next(const bool *taken, size_t i, size_t end)
{
	while (i < end && taken[i])
		i++;
	return i < end ? i : end;
}

static size_t plain_take(bool *taken, size_t n, size_t i, size_t max)
{
	size_t done = 0;

	while (done < max && i < n && !taken[i]) {
		taken[i++] = true;
		done++;
	}
	return done;
}

/* The same as an array of bool, for a random sequence */
static void as_a_plain_array(void **state)
{
	enum { N = 517 };
	uint64_t seed = 3;

	(void)state;
	for (int round = 0; round < 50; round++) {
		bool taken[N] = { 0 };
		size_t left = N;
		struct ledger l;

		assert_int_equal(ledger_init(&l, N), 0);
		for (int k = 0; k < 2000; k++) {
			size_t i = dice(&seed) % N, max = dice(&seed) % 9;
			size_t got = ledger_take(&l, i, max), end;

			assert_int_equal(got, plain_take(taken, N, i, max));
			left -= got;
			assert_int_equal(ledger_left(&l), left);
			end = dice(&seed) % (N + 1);
			i = dice(&seed) % (N + 1);
			assert_int_equal(ledger_next(&l, i, end),
					 plain_next(taken, i, end));
			if (i < N)
				assert_int_equal(ledger_test(&l, i), taken[i]);
		}
		ledger_fini(&l);
	}
}

/*
 * An injection at the very end: all else is taken, and the page is held. It
 * must count as left, or the push threads end without it.
 */
static void a_held_page_is_left(void **state)
{
	struct ledger l;

	(void)state;
	assert_int_equal(ledger_init(&l, 100), 0);
	assert_int_equal(ledger_take(&l, 0, 70), 70);
	assert_int_equal(ledger_take(&l, 71, 29), 29);
	assert_true(ledger_hold(&l, 70));
	assert_int_equal(ledger_left(&l), 1);
	assert_int_equal(ledger_take(&l, 70, 1), 0);
	assert_int_equal(ledger_next(&l, 0, 100), 100);
	ledger_unhold(&l);
	ledger_unhold(&l);
	assert_int_equal(ledger_left(&l), 1);
	assert_int_equal(ledger_next(&l, 0, 100), 70);
	assert_int_equal(ledger_take(&l, 70, 1), 1);
	assert_int_equal(ledger_left(&l), 0);
	assert_false(ledger_hold(&l, 70));
	ledger_unhold(&l);
	assert_true(ledger_test(&l, 70));
	ledger_fini(&l);
}

/* The demand thread must not answer for a held page: neither "sent before",
 * nor by a read
 */
struct asker {
	struct ledger *l;
	size_t page;
	_Atomic bool returned, got;
};

static void *ask(void *arg)
{
	struct asker *a = arg;

	a->got = ledger_take_demanded(a->l, a->page);
	a->returned = true;
	return NULL;
}

static void a_request_waits_for_a_held_page(void **state)
{
	struct ledger l;
	struct asker a = { .l = &l, .page = 33 };
	pthread_t t;

	(void)state;
	assert_int_equal(ledger_init(&l, 100), 0);
	assert_true(ledger_hold(&l, 33));
	assert_true(ledger_take_demanded(&l, 34));
	assert_false(ledger_take_demanded(&l, 34));
	assert_int_equal(pthread_create(&t, NULL, ask, &a), 0);
	usleep(20000);
	assert_false(a.returned);
	ledger_unhold(&l);
	pthread_join(t, NULL);
	assert_true(a.got);
	ledger_fini(&l);
}

/* Holds come and go on the page that is requested: it is never "sent before" */
#define ASKED	5000

static _Atomic size_t asked_page, held_page;

static void *hold_and_release(void *arg)
{
	struct ledger *l = arg;

	for (size_t page; (page = asked_page) < ASKED; held_page = page)
		if (ledger_hold(l, page))
			ledger_unhold(l);
	return NULL;
}

static void a_request_never_takes_a_hold_for_sent(void **state)
{
	struct ledger l;
	unsigned wrong = 0;
	pthread_t t;

	(void)state;
	assert_int_equal(ledger_init(&l, ASKED + 1), 0);
	asked_page = 0;
	held_page = SIZE_MAX;
	assert_int_equal(pthread_create(&t, NULL, hold_and_release, &l), 0);
	for (size_t i = 0; i < ASKED; asked_page = ++i) {
		/* Not before the other thread is at this page */
		while (held_page != i)
			sched_yield();
		wrong += !ledger_take_demanded(&l, i);
	}
	pthread_join(t, NULL);
	assert_int_equal(wrong, 0);
	assert_int_equal(ledger_left(&l), 1);
	ledger_fini(&l);
}

/* ---- Races, at the moment at which they matter ---- */

#define IS(name) (!strcmp(at, #name))

static unsigned points;

/*
 * A hold begins after the look at @hold and ends before the second look: both
 * looks see no hold, but the page is free and was never sent
 */
static void hold_in_between(struct ledger *l, const char *at)
{
	if (IS(ledger_demanded) && !points)
		assert_true(ledger_hold(l, 5));
	if (IS(ledger_refused))
		ledger_unhold(l);
	points++;
}

static void a_hold_between_two_looks_is_noticed(void **state)
{
	struct ledger l;

	(void)state;
	assert_int_equal(ledger_init(&l, 64), 0);
	points = 0;
	at_point = hold_in_between;
	assert_true(ledger_take_demanded(&l, 5));
	at_point = NULL;
	assert_int_equal(points, 3);
	assert_int_equal(ledger_left(&l), 63);
	ledger_fini(&l);
}

/* A rebuild has looked for a hold; now one begins, and takes the page */
static void hold_while_set(struct ledger *l, const char *at)
{
	if (IS(ledger_set) && !points++)
		assert_true(ledger_hold(l, 5));
	if (IS(ledger_waits)) {
		assert_true(ledger_test(l, 5));
		ledger_unhold(l);
	}
}

static void a_rebuild_does_not_free_a_new_hold(void **state)
{
	struct ledger_rebuild r;
	struct ledger l;

	(void)state;
	assert_int_equal(ledger_init(&l, 64), 0);
	assert_int_equal(ledger_take(&l, 20, 10), 10);
	points = 0;
	at_point = hold_while_set;
	ledger_rebuild_begin(&r, &l);
	ledger_rebuild_end(&r);
	at_point = NULL;
	assert_int_equal(points, 2);
	assert_int_equal(r.removed, 10);
	assert_int_equal(ledger_left(&l), 64);
	assert_int_equal(ledger_next(&l, 0, 64), 0);
	ledger_fini(&l);
}

/* The page was sent, so the hold fails; for a moment it looks like one */
static void failing_hold(struct ledger *l, const char *at)
{
	if (IS(ledger_waits))
		hold_set(l, 0);
}

static void a_failing_hold_does_not_keep_a_page_sent(void **state)
{
	struct ledger_rebuild r;
	struct ledger l;

	(void)state;
	assert_int_equal(ledger_init(&l, 64), 0);
	assert_int_equal(ledger_take(&l, 5, 1), 1);
	hold_set(&l, 5 + 1);
	at_point = failing_hold;
	ledger_rebuild_begin(&r, &l);
	ledger_rebuild_end(&r);
	at_point = NULL;
	assert_int_equal(ledger_left(&l), 64);
	assert_false(ledger_test(&l, 5));
	ledger_fini(&l);
}

struct racer {
	struct ledger *l;
	uint8_t *owner;		/* times each page was taken by this one */
	uint64_t seed;
};

static void *race(void *arg)
{
	struct racer *r = arg;

	while (ledger_left(r->l)) {
		const size_t end = r->l->n;
		size_t i = ledger_next(r->l, dice(&r->seed) % end, end), n;

		if (i == end)
			i = ledger_next(r->l, 0, end);
		if (i == end)
			continue;
		n = ledger_take(r->l, i, 1 + dice(&r->seed) % 100);
		while (n--)
			r->owner[i++]++;
	}
	return NULL;
}

static void *hold_any(void *arg)
{
	struct racer *r = arg;

	while (ledger_left(r->l))
		if (ledger_hold(r->l, dice(&r->seed) % r->l->n))
			ledger_unhold(r->l);
	return NULL;
}

/* Ranges over words; pages that were not taken are not counted */
static void pages_can_be_given_back(void **state)
{
	struct ledger l;

	(void)state;
	assert_int_equal(ledger_init(&l, 1000), 0);
	assert_int_equal(ledger_take(&l, 0, 700), 700);
	assert_int_equal(ledger_give_back(&l, 60, 200), 200);
	assert_int_equal(ledger_left(&l), 500);
	assert_int_equal(ledger_give_back(&l, 50, 220), 20);
	assert_int_equal(ledger_give_back(&l, 690, 64), 10);
	assert_int_equal(ledger_left(&l), 530);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(ledger_test(&l, i),
				 i < 50 || (i >= 270 && i < 690));
	assert_int_equal(ledger_take(&l, 50, 1000), 220);
	ledger_fini(&l);
}

static void threads_share_it_out(void **state)
{
	enum { N = 100000 };
	struct racer r[3];
	pthread_t t[3];
	struct ledger l;

	(void)state;
	assert_int_equal(ledger_init(&l, N), 0);
	for (unsigned k = 0; k < 3; k++) {
		r[k] = (struct racer){ &l, calloc(N, 1), k + 1 };
		assert_non_null(r[k].owner);
		assert_int_equal(pthread_create(&t[k], NULL,
						k < 2 ? race : hold_any,
						&r[k]), 0);
	}
	for (unsigned k = 0; k < 3; k++)
		pthread_join(t[k], NULL);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(r[0].owner[i] + r[1].owner[i], 1);
	for (unsigned k = 0; k < 3; k++)
		free(r[k].owner);
	ledger_fini(&l);
}

/* ---- A ledger that is set to what the destination reports ---- */

static const struct page_run short_report[] = {
	{ 3, 1, HAVE_PRESENT }, { 4, 60, HAVE_ZERO }, { 100, 100, HAVE_STAGED },
	{ 299, 1, HAVE_POISONED },
};

static void a_report_replaces_what_was_known(void **state)
{
	struct page_stats stats = { .pages[COUNT_PUSH] = 180 };
	struct page_source p = { .stats = &stats, .stop = true, .asked = 9,
				 .cursor.next = 7, .cursor.wanted = 3 };
	struct ledger_rebuild r;

	(void)state;
	assert_int_equal(ledger_init(&p.ledger, 300), 0);
	assert_int_equal(ledger_take(&p.ledger, 20, 180), 180);
	ledger_rebuild_begin(&r, &p.ledger);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ledger_rebuild_run(&r, &short_report[i]), 0);
	ledger_rebuild_end(&r);
	page_source_rebuilt(&p, &r);
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(ledger_test(&p.ledger, i),
				 (i >= 3 && i < 64) ||
				 (i >= 100 && i < 200) || i == 299);
	assert_int_equal(ledger_left(&p.ledger), 300 - 162);
	assert_int_equal(r.removed, 36);
	assert_int_equal(r.reported[HAVE_ZERO], 60);
	/* The statistics: what is sent is what was reported */
	assert_int_equal(stats.again, 36);
	assert_int_equal(stats.pages[COUNT_ZERO], 16);
	assert_int_equal(stats.pages[COUNT_POISON], 1);
	assert_int_equal(stats.pages[COUNT_PUSH], 181);
	/* The push begins anew */
	assert_int_equal(p.cursor.next + p.cursor.wanted, 0);
	assert_int_equal(p.asked, 0);
	assert_false(p.stop);
	ledger_fini(&p.ledger);
}

static void a_hostile_report_is_refused(void **state)
{
	static const struct page_run bad[] = {
		{ 9, 1, HAVE_PRESENT },		/* overlaps 5 to 9 */
		{ 0, 1, HAVE_PRESENT },		/* descends */
		{ 20, 0, HAVE_PRESENT },	/* empty */
		{ 299, 2, HAVE_PRESENT },	/* ends outside RAM */
		{ 300, 1, HAVE_PRESENT }, { 301, 1, HAVE_PRESENT },
		{ 20, SIZE_MAX, HAVE_PRESENT },	/* wraps around */
		{ SIZE_MAX, 2, HAVE_PRESENT },
		{ 20, 1, HAVE_ABSENT }, { 20, 1, PAGE_HAVES },
		{ 20, 1, (enum page_have)-1 },
	};
	const struct page_run good = { 5, 5, HAVE_PRESENT };

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ledger_rebuild r;
		struct ledger l;

		assert_int_equal(ledger_init(&l, 300), 0);
		ledger_rebuild_begin(&r, &l);
		assert_int_equal(ledger_rebuild_run(&r, &good), 0);
		assert_int_equal(ledger_rebuild_run(&r, &bad[i]), -EBADMSG);
		/* What is left of it does no harm: the next one is right */
		ledger_rebuild_begin(&r, &l);
		ledger_rebuild_end(&r);
		assert_int_equal(ledger_left(&l), 300);
		ledger_fini(&l);
	}
}

/* Random ledgers and random reports, against an array of bool */
static void random_report(struct ledger_rebuild *r, bool *taken, size_t n,
			  uint64_t *seed)
{
	size_t at = 0;

	memset(taken, 0, n);
	while (at < n) {
		size_t gap = dice(seed) % 4 ? dice(seed) % 90 : 0, len;
		struct page_run run = { .first = at + gap };

		len = 1 + dice(seed) % 150;
		if (run.first + len > n)
			break;
		run.pages = len;
		run.have = HAVE_PRESENT + (enum page_have)(dice(seed) % 4);
		assert_int_equal(ledger_rebuild_run(r, &run), 0);
		memset(taken + run.first, 1, len);
		at = run.first + len;
	}
	ledger_rebuild_end(r);
}

static void reports_as_a_plain_array(void **state)
{
	enum { SIZE = 1300 };
	uint64_t seed = 23;

	(void)state;
	for (int round = 0; round < 300; round++) {
		size_t n = 1 + dice(&seed) % SIZE, before, sent = 0, added = 0;
		bool taken[SIZE];
		struct ledger_rebuild r;
		struct ledger l;

		assert_int_equal(ledger_init(&l, n), 0);
		for (int k = 0; k < 20; k++)
			ledger_take(&l, dice(&seed) % n, dice(&seed) % 99);
		before = ledger_left(&l);
		ledger_rebuild_begin(&r, &l);
		random_report(&r, taken, n, &seed);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(ledger_test(&l, i), taken[i]);
			sent += taken[i];
		}
		assert_int_equal(ledger_left(&l), n - sent);
		for (unsigned k = 0; k < PAGE_HAVES; k++)
			added += r.added[k];
		assert_int_equal(before + r.removed - added, n - sent);
		assert_int_equal(r.reported[HAVE_PRESENT] +
				 r.reported[HAVE_ZERO] +
				 r.reported[HAVE_POISONED] +
				 r.reported[HAVE_STAGED], sent);
		ledger_fini(&l);
	}
}

/* Poison made on purpose keeps its page, and the page is sent when it returns */
static void *rebuild_empty(void *arg)
{
	struct asker *a = arg;
	struct ledger_rebuild r;

	ledger_rebuild_begin(&r, a->l);
	ledger_rebuild_end(&r);
	a->returned = true;
	return NULL;
}

static void a_rebuild_waits_for_a_held_page(void **state)
{
	struct ledger l;
	struct asker a = { .l = &l };
	pthread_t t;

	(void)state;
	assert_int_equal(ledger_init(&l, 200), 0);
	assert_int_equal(ledger_take(&l, 0, 133), 133);
	assert_true(ledger_hold(&l, 133));
	assert_int_equal(pthread_create(&t, NULL, rebuild_empty, &a), 0);
	/* It sets words in ascending order, and has come to the page's */
	while (ledger_test(&l, 64))
		sched_yield();
	usleep(50000);
	assert_false(a.returned);
	assert_true(ledger_test(&l, 133));
	ledger_unhold(&l);
	pthread_join(t, NULL);
	assert_int_equal(ledger_left(&l), 200);
	ledger_fini(&l);
}

/* Holds at any moment of a rebuild, of pages that were sent and others */
static void holds_during_a_rebuild_lose_nothing(void **state)
{
	enum { SIZE = 640 };
	struct racer r = { .seed = 9 };
	struct ledger l;
	uint64_t seed = 4;
	pthread_t t;

	(void)state;
	assert_int_equal(ledger_init(&l, SIZE + 1), 0);
	r.l = &l;
	/* Page 640 is never taken: the other thread goes on until it is */
	assert_int_equal(pthread_create(&t, NULL, hold_any, &r), 0);
	for (int round = 0; round < 3000; round++) {
		struct ledger_rebuild b;
		bool taken[SIZE];

		ledger_rebuild_begin(&b, &l);
		random_report(&b, taken, SIZE, &seed);
		for (size_t i = 0; i < SIZE; i++)
			/* Taken, or held just now and free soon */
			while (ledger_test(&l, i) != taken[i])
				if (taken[i])
					fail_msg("page %zu is free", i);
	}
	while (ledger_left(&l))
		ledger_take(&l, ledger_next(&l, 0, l.n), 1);
	pthread_join(t, NULL);
	ledger_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_stops_at_the_first_that_is_taken),
		cmocka_unit_test(borders_of_words),
		cmocka_unit_test(as_a_plain_array),
		cmocka_unit_test(a_held_page_is_left),
		cmocka_unit_test(a_request_waits_for_a_held_page),
		cmocka_unit_test(a_request_never_takes_a_hold_for_sent),
		cmocka_unit_test(pages_can_be_given_back),
		cmocka_unit_test(threads_share_it_out),
		cmocka_unit_test(a_hold_between_two_looks_is_noticed),
		cmocka_unit_test(a_rebuild_does_not_free_a_new_hold),
		cmocka_unit_test(a_failing_hold_does_not_keep_a_page_sent),
		cmocka_unit_test(a_report_replaces_what_was_known),
		cmocka_unit_test(a_hostile_report_is_refused),
		cmocka_unit_test(reports_as_a_plain_array),
		cmocka_unit_test(a_rebuild_waits_for_a_held_page),
		cmocka_unit_test(holds_during_a_rebuild_lose_nothing),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
