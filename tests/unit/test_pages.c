// SPDX-License-Identifier: MIT
/* test_pages.c - A page is placed once, poison is final, the counts add up */

#include <pthread.h>

#include "unit.h"

#include "migration/pages/pages.h"

#define N 1000

/* Invariant 10 */
static void check_sum(const struct pages *t)
{
	assert_int_equal(t->missing + t->zero + t->present + t->poisoned,
			 t->n);
}

static int setup(void **state)
{
	struct pages *t = malloc(sizeof(*t));

	*state = t;
	return !t || pages_init(t, N);
}

static int teardown(void **state)
{
	check_sum(*state);
	pages_fini(*state);
	free(*state);
	return 0;
}

static void all_missing_at_first(void **state)
{
	struct pages *t = *state;

	assert_int_equal(t->missing, N);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(pages_get(t, i), PAGE_MISSING);
}

/* Put a page into a state by the ways that lead there */
static void bring(struct pages *t, size_t i, enum page_state to)
{
	enum page_state was;

	switch (to) {
	case PAGE_MISSING:
		break;
	case PAGE_REQUESTED:
		assert_true(pages_request(t, i));
		break;
	case PAGE_ZERO:
		assert_int_equal(pages_set_zero(t, i, 1), 1);
		break;
	default:
		assert_true(pages_claim(t, i, &was));
		if (to != PAGE_PLACING)
			pages_settle(t, i, was, to);
	}
	assert_int_equal(pages_get(t, i), to);
	check_sum(t);
}

/* Every operation in every state: what it says, and what the page is then */
static void the_whole_state_machine(void **state)
{
	static const struct {
		enum page_state from;
		bool request, claim, zero, poison;
	} want[] = {
		{ PAGE_MISSING,		true, true, true, false },
		{ PAGE_REQUESTED,	false, true, false, false },
		{ PAGE_ZERO,		false, true, false, false },
		{ PAGE_PLACING,		false, false, false, false },
		{ PAGE_PRESENT,		false, false, false, true },
		{ PAGE_POISONED,	false, false, false, false },
	};
	struct pages *t = *state;
	size_t i = 0;

	for (unsigned k = 0; k < 6; k++) {
		enum page_state was = PAGE_PLACING, from = want[k].from;

		bring(t, i, from);
		assert_int_equal(pages_request(t, i), want[k].request);
		assert_int_equal(pages_get(t, i++), want[k].request ?
				 PAGE_REQUESTED : from);
		bring(t, i, from);
		assert_int_equal(pages_set_zero(t, i, 1), want[k].zero);
		assert_int_equal(pages_get(t, i++), want[k].zero ?
				 PAGE_ZERO : from);
		bring(t, i, from);
		assert_int_equal(pages_poison_present(t, i), want[k].poison);
		assert_int_equal(pages_get(t, i++), want[k].poison ?
				 PAGE_POISONED : from);
		bring(t, i, from);
		assert_int_equal(pages_claim(t, i, &was), want[k].claim);
		assert_int_equal(pages_get(t, i), want[k].claim ?
				 PAGE_PLACING : from);
		if (want[k].claim) {
			assert_int_equal(was, from);
			pages_release(t, i, was);
			assert_int_equal(pages_get(t, i), from);
		}
		i++;
	}
}

/* The race that UFFDIO_COPY would lose: a late copy must not get a claim */
static void poison_is_terminal(void **state)
{
	struct pages *t = *state;
	enum page_state was;

	bring(t, 0, PAGE_POISONED);
	bring(t, 1, PAGE_PRESENT);
	assert_true(pages_poison_present(t, 1));
	for (size_t i = 0; i < 2; i++) {
		assert_false(pages_claim(t, i, &was));
		assert_false(pages_request(t, i));
		assert_int_equal(pages_set_zero(t, i, 1), 0);
		assert_false(pages_poison_present(t, i));
		assert_int_equal(pages_get(t, i), PAGE_POISONED);
	}
	assert_int_equal(t->poisoned, 2);
	assert_int_equal(t->present, 0);
}

static void zero_stretches_skip_what_is_known(void **state)
{
	struct pages *t = *state;

	bring(t, 3, PAGE_REQUESTED);
	bring(t, 4, PAGE_PRESENT);
	bring(t, 5, PAGE_POISONED);
	bring(t, 6, PAGE_PLACING);
	assert_int_equal(pages_set_zero(t, 0, 10), 6);
	assert_int_equal(pages_set_zero(t, 0, 10), 0);
	assert_int_equal(pages_set_zero(t, N, 0), 0);
	assert_int_equal(t->zero, 6);
}

static void at_the_end_nothing_is_missing(void **state)
{
	struct pages *t = *state;
	enum page_state was;

	pages_set_zero(t, 0, N / 2);
	for (size_t i = 0; i < N; i++) {
		if (i % 3 == 0)
			pages_request(t, i);
		assert_true(pages_claim(t, i, &was));
		check_sum(t);
		pages_settle(t, i, was, i % 5 ? PAGE_PRESENT : PAGE_POISONED);
		check_sum(t);
	}
	assert_int_equal(t->missing, 0);
	assert_int_equal(t->zero, 0);
	assert_int_equal(t->poisoned, N / 5);
}

/* Two threads want every page; each counts what it got */
struct racer {
	struct pages *t;
	pthread_barrier_t *line;
	uint64_t seed;
	size_t placed, poisoned;
};

static void one_try(struct racer *r, size_t i)
{
	enum page_state was, now;

	switch (dice(&r->seed) % 8) {
	case 0:
		pages_request(r->t, i);
		return;
	case 1:
		pages_set_zero(r->t, i, 1);
		return;
	case 2:
		r->poisoned += pages_poison_present(r->t, i);
		return;
	}
	if (!pages_claim(r->t, i, &was))
		return;
	if (dice(&r->seed) % 4 == 0) {
		pages_release(r->t, i, was);
		return;
	}
	now = dice(&r->seed) % 8 ? PAGE_PRESENT : PAGE_POISONED;
	r->placed++;
	r->poisoned += now == PAGE_POISONED;
	pages_settle(r->t, i, was, now);
}

static void *race(void *arg)
{
	struct racer *r = arg;

	pthread_barrier_wait(r->line);
	for (unsigned round = 0; round < 100; round++)
		for (size_t i = 0; i < N; i++)
			one_try(r, i);
	return NULL;
}

static void two_threads_never_both(void **state)
{
	struct pages *t = *state;
	pthread_barrier_t line;
	pthread_t thread[2];
	struct racer r[2];

	pthread_barrier_init(&line, NULL, 2);
	for (unsigned k = 0; k < 2; k++) {
		r[k] = (struct racer){ .t = t, .line = &line, .seed = k + 1 };
		assert_int_equal(pthread_create(&thread[k], NULL, race,
						&r[k]), 0);
	}
	for (unsigned k = 0; k < 2; k++)
		pthread_join(thread[k], NULL);
	pthread_barrier_destroy(&line);

	/* 100 rounds of 2 threads: none is left by chance */
	assert_int_equal(t->missing + t->zero, 0);
	assert_int_equal(r[0].placed + r[1].placed, N);
	assert_int_equal(r[0].poisoned + r[1].poisoned, t->poisoned);
	assert_int_equal(t->present + t->poisoned, N);
	for (size_t i = 0; i < N; i++)
		assert_true(pages_get(t, i) >= PAGE_PRESENT);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(all_missing_at_first),
		CASE(the_whole_state_machine),
		CASE(poison_is_terminal),
		CASE(zero_stretches_skip_what_is_known),
		CASE(at_the_end_nothing_is_missing),
		CASE(two_threads_never_both),
	};

	return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
