// SPDX-License-Identifier: MIT
/* test_sent.c - A page is claimed once; free ones are found in both directions */

#include <pthread.h>

#include "unit.h"

#include "migration/pages/sent.h"

static void a_run_stops_at_the_first_that_is_taken(void **state)
{
	struct sent s;

	(void)state;
	assert_int_equal(sent_init(&s, 300), 0);
	assert_int_equal(s.left, 300);
	assert_int_equal(sent_claim(&s, 130, 1), 1);
	assert_int_equal(sent_claim(&s, 60, 200), 70);
	assert_int_equal(sent_claim(&s, 60, 200), 0);
	assert_int_equal(sent_claim(&s, 131, 1000), 169);
	assert_int_equal(sent_claim(&s, 0, 300), 60);
	assert_int_equal(s.left, 0);
	for (size_t i = 0; i < 300; i++)
		assert_true(sent_test(&s, i));
	assert_int_equal(sent_next(&s, 0), 300);
	assert_int_equal(sent_prev(&s, 300), 300);
	sent_fini(&s);
}

static void a_released_page_is_left_again(void **state)
{
	struct sent s;

	(void)state;
	assert_int_equal(sent_init(&s, 100), 0);
	assert_int_equal(sent_claim(&s, 0, 100), 100);
	sent_release(&s, 70);
	assert_int_equal(s.left, 1);
	assert_false(sent_test(&s, 70));
	assert_int_equal(sent_next(&s, 0), 70);
	assert_int_equal(sent_claim(&s, 70, 5), 1);
	assert_int_equal(s.left, 0);
	sent_fini(&s);
}

/* Sizes around the 64 bits of a word, each claim of each length */
static void borders_of_words(void **state)
{
	static const size_t sizes[] = { 1, 63, 64, 65, 127, 128, 129 };

	(void)state;
	for (unsigned k = 0; k < 7; k++) {
		size_t n = sizes[k];

		for (size_t i = 0; i < n; i++) {
			struct sent s;

			assert_int_equal(sent_init(&s, n), 0);
			assert_int_equal(sent_claim(&s, i, SIZE_MAX), n - i);
			assert_int_equal(s.left, i);
			assert_int_equal(sent_next(&s, i), n);
			assert_int_equal(sent_prev(&s, n), i ? i - 1 : n);
			assert_int_equal(sent_next(&s, 0), i ? 0 : n);
			sent_fini(&s);
		}
	}
}

static size_t plain_next(const bool *taken, size_t n, size_t i)
{
	while (i < n && taken[i])
		i++;
	return i < n ? i : n;
}

static size_t plain_prev(const bool *taken, size_t n, size_t i)
{
	while (i && taken[i - 1])
		i--;
	return i ? i - 1 : n;
}

static size_t plain_claim(bool *taken, size_t n, size_t i, size_t max)
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
		struct sent s;

		assert_int_equal(sent_init(&s, N), 0);
		for (int k = 0; k < 2000; k++) {
			size_t i = dice(&seed) % N, max = dice(&seed) % 9;
			size_t got = sent_claim(&s, i, max);

			assert_int_equal(got, plain_claim(taken, N, i, max));
			left -= got;
			assert_int_equal(s.left, left);
			i = dice(&seed) % (N + 1);
			assert_int_equal(sent_next(&s, i),
					 plain_next(taken, N, i));
			assert_int_equal(sent_prev(&s, i),
					 plain_prev(taken, N, i));
			if (i < N)
				assert_int_equal(sent_test(&s, i), taken[i]);
		}
		sent_fini(&s);
	}
}

struct racer {
	struct sent *s;
	uint8_t *owner;		/* times each page was claimed by this one */
	uint64_t seed;
};

static void *race(void *arg)
{
	struct racer *r = arg;

	while (r->s->left) {
		size_t i = sent_next(r->s, dice(&r->seed) % r->s->n), n;

		if (i == r->s->n)
			i = sent_next(r->s, 0);
		if (i == r->s->n)
			break;
		n = sent_claim(r->s, i, 1 + dice(&r->seed) % 100);
		while (n--)
			r->owner[i++]++;
	}
	return NULL;
}

static void two_threads_share_it_out(void **state)
{
	enum { N = 100000 };
	struct racer r[2];
	pthread_t t[2];
	struct sent s;

	(void)state;
	assert_int_equal(sent_init(&s, N), 0);
	for (unsigned k = 0; k < 2; k++) {
		r[k] = (struct racer){ &s, calloc(N, 1), k + 1 };
		assert_non_null(r[k].owner);
		assert_int_equal(pthread_create(&t[k], NULL, race, &r[k]), 0);
	}
	for (unsigned k = 0; k < 2; k++)
		pthread_join(t[k], NULL);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(r[0].owner[i] + r[1].owner[i], 1);
	free(r[0].owner);
	free(r[1].owner);
	sent_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_stops_at_the_first_that_is_taken),
		cmocka_unit_test(a_released_page_is_left_again),
		cmocka_unit_test(borders_of_words),
		cmocka_unit_test(as_a_plain_array),
		cmocka_unit_test(two_threads_share_it_out),
	};

	return cmocka_run_group_tests_name("sent", tests, NULL, NULL);
}
