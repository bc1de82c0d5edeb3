// SPDX-License-Identifier: MIT
/* test_policy.c - Every page is pushed once, and those near faults first */

#include "unit.h"

#include "migration/pages/policy.h"

#define N 20000

struct world {
	struct policy p;
	struct sent s;
	uint8_t *times;		/* that each page was pushed or demanded */
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	*state = w;
	if (!w || sent_init(&w->s, N))
		return -1;
	w->times = calloc(N, 1);
	policy_init(&w->p);
	return !w->times;
}

static int teardown(void **state)
{
	struct world *w = *state;

	sent_fini(&w->s);
	free(w->times);
	free(w);
	return 0;
}

/* Push one run, and count its pages. Return: its length */
static size_t push(struct world *w, size_t *first)
{
	size_t n = policy_next(&w->p, &w->s, first);

	assert_true(n <= POLICY_RUN);
	for (size_t i = 0; i < n; i++) {
		assert_true(*first + i < N);
		assert_int_equal(w->times[*first + i]++, 0);
		assert_true(sent_test(&w->s, *first + i));
	}
	return n;
}

/* What the demand thread does with a fault */
static void fault(struct world *w, size_t page)
{
	size_t n = sent_claim(&w->s, page, 1 + page % 16);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(w->times[page + i]++, 0);
	policy_fault(&w->p, page);
}

static void check_all_once(struct world *w)
{
	size_t first;

	assert_int_equal(w->s.left, 0);
	assert_int_equal(policy_next(&w->p, &w->s, &first), 0);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(w->times[i], 1);
}

static void without_faults_it_walks_upward(void **state)
{
	struct world *w = *state;
	size_t first, at = 0, n;

	while ((n = push(w, &first))) {
		assert_int_equal(first, at);
		at += n;
	}
	check_all_once(w);
}

static void every_page_once_whatever_the_faults(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		void *world;
		struct world *w;
		uint64_t d = seed;
		size_t first;

		assert_int_equal(setup(&world), 0);
		w = world;
		do {
			size_t page = dice(&d) % N;

			/* Some far apart, some in clusters, some not at all */
			for (unsigned k = dice(&d) % (1 + seed % 5); k; k--)
				fault(w, (page + dice(&d) % 300) % N);
		} while (push(w, &first));
		check_all_once(w);
		teardown(&world);
	}
}

static void faults_only_at_the_ends(void **state)
{
	struct world *w = *state;
	size_t first;

	do {
		fault(w, N - 1);
		fault(w, 0);
	} while (push(w, &first));
	check_all_once(w);
}

/* A fault on a page that nobody claimed: a lost request, say */
static void unclaimed_faults_are_not_forgotten(void **state)
{
	struct world *w = *state;
	uint64_t seed = 5;
	size_t first;

	do {
		policy_fault(&w->p, dice(&seed) % N);
	} while (push(w, &first));
	check_all_once(w);
}

static void it_grows_outward_from_a_fault(void **state)
{
	struct world *w = *state;
	size_t first, n, low = 10000, high = 10000, up = 0, down = 0;

	fault(w, 10000);
	/* Trail 0 still walks from page 0: look at the other one only */
	for (int i = 0; i < 60; i++) {
		n = push(w, &first);
		if (first < 5000)
			continue;
		if (first >= high) {
			assert_in_range(first, high, high + 16);
			high = first + n;
			up++;
		} else {
			assert_in_range(first + n, low - 1, low);
			low = first;
			down++;
		}
	}
	assert_int_equal(up + down, 30);
	assert_int_equal(up, 2 * down);		/* upward twice as fast */
}

static void near_faults_move_a_trail(void **state)
{
	struct world *w = *state;

	fault(w, 10000);
	assert_int_equal(w->p.trails, 2);
	fault(w, 10000 + POLICY_NEAR);
	assert_int_equal(w->p.trails, 2);
	assert_int_equal(w->p.trail[1].down, 10000 + POLICY_NEAR);
	fault(w, 10000);
	assert_int_equal(w->p.trails, 2);
	assert_int_equal(w->p.trail[1].down, 10000);
	fault(w, 10000 + POLICY_NEAR + 2);
	assert_int_equal(w->p.trails, 3);
}

static void far_faults_replace_the_idlest(void **state)
{
	struct world *w = *state;

	fault(w, 4000);
	fault(w, 8000);
	fault(w, 12000);
	assert_int_equal(w->p.trails, POLICY_TRAILS);
	fault(w, 4001);
	fault(w, 16000);	/* instead of the one at 0, never used */
	assert_int_equal(w->p.trails, POLICY_TRAILS);
	assert_int_equal(w->p.trail[0].down, 16000);
	fault(w, 19000);	/* instead of the one at 8000 */
	assert_int_equal(w->p.trail[2].down, 19000);
	assert_int_equal(w->p.trail[1].down, 4001);
}

/* What a fault wants soon comes soon: among the next few runs */
static void the_next_pages_come_soon(void **state)
{
	struct world *w = *state;
	bool seen = false;
	size_t first, n;

	fault(w, 15000);
	for (unsigned i = 0; i < 2 * POLICY_TRAILS && !seen; i++) {
		n = push(w, &first);
		seen = first <= 15016 && 15016 < first + n;
	}
	assert_true(seen);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(without_faults_it_walks_upward),
		cmocka_unit_test(every_page_once_whatever_the_faults),
		CASE(faults_only_at_the_ends),
		CASE(unclaimed_faults_are_not_forgotten),
		CASE(it_grows_outward_from_a_fault),
		CASE(near_faults_move_a_trail),
		CASE(far_faults_replace_the_idlest),
		CASE(the_next_pages_come_soon),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
