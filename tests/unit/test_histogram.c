// SPDX-License-Identifier: MIT
/* test_histogram.c - Percentiles are right to within a tenth */

#include <pthread.h>

#include "unit.h"

#include "migration/pages/histogram.h"

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void assert_near(uint64_t got, uint64_t want)
{
	uint64_t diff = got > want ? got - want : want - got;

	if (diff > want / 10)
		fail_msg("%llu is not within a tenth of %llu",
			 (unsigned long long)got, (unsigned long long)want);
}

static void empty_is_zero(void **state)
{
	struct histogram h = { 0 };
	struct latency l = histogram_read(&h);

	(void)state;
	assert_true(!l.count && !l.p50 && !l.p90 && !l.p99 && !l.max);
}

static void one_value_is_all(void **state)
{
	(void)state;
	for (uint64_t v = 1; v < 1ull << 42; v = v * 3 + 1) {
		struct histogram h = { 0 };
		struct latency l;

		histogram_add(&h, v);
		l = histogram_read(&h);
		assert_int_equal(l.count, 1);
		assert_true(l.max == v);
		assert_near(l.p50, v);
		assert_near(l.p99, v);
		assert_true(l.p99 <= l.max);
	}
}

static void buckets_are_powers_of_two(void **state)
{
	static const struct { uint64_t ns; unsigned bucket; } values[] = {
		{ 0, 0 }, { 7, 0 }, { 8, 0 }, { 16383, 0 }, { 16384, 1 },
		{ 32767, 1 }, { 32768, 2 }, { 65535, 2 }, { 65536, 3 },
		{ (1ull << 33) - 1, 19 }, { 1ull << 33, 20 },
		{ 1ull << 40, 20 }, { UINT64_MAX / 2, 20 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
		struct histogram h = { 0 };
		struct latency l;

		histogram_add(&h, values[i].ns);
		histogram_add(&h, values[i].ns);
		l = histogram_read(&h);
		assert_true(l.sum == 2 * values[i].ns);
		for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
			assert_int_equal(l.bucket[b],
					 b == values[i].bucket ? 2 : 0);
	}
}

static void small_values_are_exact(void **state)
{
	(void)state;
	for (uint64_t v = 0; v < 16; v++) {
		struct histogram h = { 0 };

		histogram_add(&h, v);
		histogram_add(&h, 1000);
		assert_true(histogram_read(&h).p50 == v);
	}
}

/* Against the sorted values themselves, over many octaves */
static void percentiles_of_many(void **state)
{
	enum { N = 20000 };
	uint64_t *v = calloc(N, sizeof(*v)), seed = 42;
	struct histogram h = { 0 };
	struct latency l;

	(void)state;
	assert_non_null(v);
	for (int i = 0; i < N; i++) {
		v[i] = 1000 + ((dice(&seed) & 0xffffff) >> dice(&seed) % 16);
		histogram_add(&h, v[i]);
	}
	qsort(v, N, sizeof(*v), by_value);
	l = histogram_read(&h);
	assert_int_equal(l.count, N);
	assert_near(l.p50, v[N / 2 - 1]);
	assert_near(l.p90, v[N / 10 * 9 - 1]);
	assert_near(l.p99, v[N / 100 * 99 - 1]);
	assert_true(l.max == v[N - 1]);
	free(v);
}

static void the_rare_slow_one_is_seen(void **state)
{
	struct histogram h = { 0 };
	struct latency l;

	(void)state;
	for (int i = 0; i < 98; i++)
		histogram_add(&h, 50000);
	histogram_add(&h, 4000000);
	histogram_add(&h, 4000000);
	l = histogram_read(&h);
	assert_near(l.p90, 50000);
	assert_near(l.p99, 4000000);
}

/* Hours do not fall off the end */
static void beyond_the_last_bucket(void **state)
{
	struct histogram h = { 0 };
	struct latency l;

	(void)state;
	histogram_add(&h, UINT64_MAX);
	l = histogram_read(&h);
	assert_int_equal(l.count, 1);
	assert_true(l.max == UINT64_MAX);
	assert_true(l.p50 > 1ull << 41);
}

static void *add_many(void *arg)
{
	for (uint64_t i = 1; i <= 50000; i++)
		histogram_add(arg, i);
	return NULL;
}

static void threads_lose_nothing(void **state)
{
	struct histogram h = { 0 };
	pthread_t t[2];
	struct latency l;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, add_many, &h), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	l = histogram_read(&h);
	assert_int_equal(l.count, 100000);
	assert_int_equal(l.max, 50000);
	assert_near(l.p50, 25000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_is_zero),
		cmocka_unit_test(one_value_is_all),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(buckets_are_powers_of_two),
		cmocka_unit_test(percentiles_of_many),
		cmocka_unit_test(the_rare_slow_one_is_seen),
		cmocka_unit_test(beyond_the_last_bucket),
		cmocka_unit_test(threads_lose_nothing),
	};

	return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
