// SPDX-License-Identifier: MIT
/*
 * test_unacked.c - Pages of a lost push connection return to the ledger, and
 * only those that were not acknowledged
 */

#include <pthread.h>
#include <sched.h>

#include "unit.h"

#include "migration/pages/page_source.h"

#define N 100000

static void only_the_unconfirmed_return(void **state)
{
	struct ledger l;
	struct unacked u;

	(void)state;
	assert_int_equal(ledger_init(&l, 4096), 0);
	assert_int_equal(unacked_init(&u), 0);
	assert_int_equal(ledger_take(&l, 0, 4096), 4096);
	assert_false(unacked_any(&u));
	assert_true(unacked_add(&u, 0, 64, 1));
	assert_true(unacked_add(&u, 64, 64, 1));
	assert_true(unacked_add(&u, 500, 64, 2));
	assert_true(unacked_add(&u, 3000, 7, 3));
	/* One entry for each block and number: the run of 2 lies in two blocks */
	assert_int_equal(u.tail, 4);
	assert_int_equal(unacked_acknowledge(&u, 1), 0);
	assert_true(unacked_any(&u));
	assert_int_equal(unacked_give_back(&u, &l), 71);
	assert_false(unacked_any(&u));
	assert_int_equal(ledger_left(&l), 71);
	for (size_t i = 0; i < 4096; i++)
		assert_int_equal(ledger_test(&l, i),
				 !((i >= 500 && i < 564) ||
				   (i >= 3000 && i < 3007)));
	/* The ring begins again */
	assert_true(unacked_add(&u, 9, 1, 1));
	assert_int_equal(unacked_acknowledge(&u, 1), 0);
	assert_int_equal(unacked_give_back(&u, &l), 0);
	unacked_fini(&u);
	unacked_fini(&u);
	ledger_fini(&l);
}

/*
 * What returns may have arrived: it can't be poisoned here before the
 * destination has reported what it has
 */
static void what_returns_is_unsure(void **state)
{
	struct ledger_rebuild r;
	struct ledger l;
	struct unacked u;

	(void)state;
	assert_int_equal(ledger_init(&l, 4096), 0);
	assert_int_equal(unacked_init(&u), 0);
	assert_int_equal(ledger_take(&l, 0, 256), 256);
	assert_true(unacked_add(&u, 0, 64, 1));
	assert_true(unacked_add(&u, 100, 64, 2));
	assert_int_equal(unacked_acknowledge(&u, 1), 0);
	assert_int_equal(unacked_give_back(&u, &l), 64);
	for (size_t i = 0; i < 4096; i++)
		assert_int_equal(ledger_is_unsure(&l, i), i >= 100 && i < 164);
	assert_false(ledger_hold(&l, 100));
	assert_false(ledger_hold(&l, 163));
	/* They can be sent, all of them, and stay unsure */
	assert_int_equal(ledger_take(&l, 100, 64), 64);
	assert_false(ledger_hold(&l, 120));
	assert_true(ledger_is_unsure(&l, 120));
	assert_true(ledger_hold(&l, 256));
	ledger_unhold(&l);
	ledger_rebuild_begin(&r, &l);
	ledger_rebuild_end(&r);
	assert_false(ledger_is_unsure(&l, 120));
	assert_true(ledger_hold(&l, 120));
	ledger_unhold(&l);
	unacked_fini(&u);
	ledger_fini(&l);
}

static void a_peer_confirms_only_what_was_sent(void **state)
{
	struct unacked u;

	(void)state;
	assert_int_equal(unacked_init(&u), 0);
	assert_int_equal(unacked_acknowledge(&u, 0), 0);
	assert_int_equal(unacked_acknowledge(&u, 1), -EBADMSG);
	assert_true(unacked_add(&u, 0, 64, 5));
	assert_int_equal(unacked_acknowledge(&u, 6), -EBADMSG);
	assert_int_equal(unacked_acknowledge(&u, UINT64_MAX), -EBADMSG);
	assert_int_equal(unacked_acknowledge(&u, 4), 0);
	assert_true(unacked_any(&u));
	assert_int_equal(unacked_acknowledge(&u, 3), -EBADMSG);
	assert_int_equal(unacked_acknowledge(&u, 5), 0);
	assert_int_equal(unacked_acknowledge(&u, 5), 0);
	assert_false(unacked_any(&u));
	unacked_fini(&u);
}

static void a_full_ring_waits_for_the_peer(void **state)
{
	struct unacked u;
	uint64_t n = 0;

	(void)state;
	assert_int_equal(unacked_init(&u), 0);
	while (unacked_add(&u, n * CHUNK_PAGES, 1, n + 1))
		n++;
	assert_in_range(n, UNACKED_MAX - 2, UNACKED_MAX);
	assert_false(unacked_add(&u, 0, 1, n + 1));
	assert_int_equal(unacked_acknowledge(&u, n / 2), 0);
	assert_true(unacked_add(&u, 511, 2, n + 1));
	unacked_fini(&u);
}

/* What was sent and acknowledged, page by page */
struct naive {
	uint64_t number[N];	/* 0: not sent, or given back */
	uint64_t acked, sent;
};

static void naive_check(const struct naive *v, const struct ledger *l)
{
	for (size_t i = 0; i < N; i++)
		assert_int_equal(ledger_test(l, i),
				 v->number[i] && v->number[i] <= v->acked);
}

static size_t count_unconfirmed(const struct naive *v)
{
	size_t n = 0;

	for (size_t i = 0; i < N; i++)
		n += v->number[i] > v->acked;
	return n;
}

/* Random runs, numbers and acknowledgements, then a loss; again and again */
static void as_a_plain_array(void **state)
{
	struct naive *v = calloc(1, sizeof(*v));
	uint64_t seed = 11;

	(void)state;
	assert_non_null(v);
	for (int round = 0; round < 60; round++) {
		struct page_stats stats = { 0 };
		struct page_source p = { .stats = &stats };
		struct unacked u;

		memset(v, 0, sizeof(*v));
		assert_int_equal(ledger_init(&p.ledger, N), 0);
		assert_int_equal(unacked_init(&u), 0);
		for (int k = 0; k < 1500; k++) {
			size_t first = dice(&seed) % N, n;
			uint64_t number = v->sent + dice(&seed) % 2;

			number += number <= v->acked;
			n = ledger_take(&p.ledger, first, 64);
			if (n && !unacked_add(&u, first, n, number)) {
				ledger_give_back(&p.ledger, first, n);
				n = 0;
			}
			for (size_t i = 0; i < n; i++)
				v->number[first + i] = number;
			v->sent = n ? number : v->sent;
			if (dice(&seed) % 8 || v->acked == v->sent)
				continue;
			v->acked += dice(&seed) % (v->sent - v->acked + 1);
			assert_int_equal(unacked_acknowledge(&u, v->acked), 0);
		}
		page_source_lost(&p, &u);
		naive_check(v, &p.ledger);
		assert_int_equal(stats.again, count_unconfirmed(v));
		assert_false(unacked_any(&u));
		unacked_fini(&u);
		ledger_fini(&p.ledger);
	}
	free(v);
}

/* One thread sends, another acknowledges; what is left at the end returns */
struct pair {
	struct ledger l;
	struct unacked u;
	_Atomic bool over;
};

static void *acknowledge_some(void *arg)
{
	struct pair *p = arg;
	uint64_t seed = 5, acked = 0;

	while (!p->over) {
		uint64_t sent = p->u.number;

		/* The last number may still be in use */
		acked += sent ? dice(&seed) % (sent - acked) : 0;
		if (unacked_acknowledge(&p->u, acked))
			fail_msg("%llu is refused",
				 (unsigned long long)acked);
	}
	return NULL;
}

static void two_threads(void **state)
{
	struct pair p = { .over = false };
	uint64_t number = 0;
	size_t given, sent = 0;
	pthread_t t;

	(void)state;
	assert_int_equal(ledger_init(&p.l, N), 0);
	assert_int_equal(unacked_init(&p.u), 0);
	assert_int_equal(pthread_create(&t, NULL, acknowledge_some, &p), 0);
	while (sent < N) {
		size_t n = ledger_take(&p.l, sent, 1 + sent % 64);

		number += sent % 3 == 0 || !number;
		while (!unacked_add(&p.u, sent, n, number))
			sched_yield();
		sent += n;
	}
	p.over = true;
	pthread_join(t, NULL);
	assert_int_equal(p.u.number, number);
	given = unacked_give_back(&p.u, &p.l);
	assert_int_equal(ledger_left(&p.l), given);
	/* What returns is the end of what was sent, and all of it */
	assert_int_equal(ledger_next(&p.l, 0, N), N - given);
	unacked_fini(&p.u);
	ledger_fini(&p.l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_unconfirmed_return),
		cmocka_unit_test(what_returns_is_unsure),
		cmocka_unit_test(a_peer_confirms_only_what_was_sent),
		cmocka_unit_test(a_full_ring_waits_for_the_peer),
		cmocka_unit_test(as_a_plain_array),
		cmocka_unit_test(two_threads),
	};

	return cmocka_run_group_tests_name("unacked", tests, NULL, NULL);
}
