// SPDX-License-Identifier: MIT
/* test_cursor.c - Every page is pushed once; the chunk of a fault comes first */

#include <pthread.h>

#include "unit.h"

#include "migration/pages/cursor.h"
#include "migration/wire/wire.h"

#define N 20000		/* not a multiple of a chunk */

struct world {
	struct cursor c;
	struct ledger l;
	struct cursor_chunk chunk;
	uint8_t *times;		/* that each page was pushed or demanded */
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	*state = w;
	if (!w || ledger_init(&w->l, N))
		return -1;
	w->times = calloc(N, 1);
	return !w->times;
}

static int teardown(void **state)
{
	struct world *w = *state;

	ledger_fini(&w->l);
	free(w->times);
	free(w);
	return 0;
}

/* Push one run, and count its pages. Return: its length */
static size_t push(struct world *w, size_t *first)
{
	size_t n = cursor_take(&w->c, &w->l, &w->chunk, first);

	assert_true(n <= WIRE_RUN_PAGES);
	for (size_t i = 0; i < n; i++) {
		assert_true(*first + i < N);
		assert_int_equal(w->times[*first + i]++, 0);
		assert_true(ledger_test(&w->l, *first + i));
	}
	return n;
}

/* What the demand thread does with a request */
static void fault(struct world *w, size_t page)
{
	size_t n = ledger_take(&w->l, page, 1 + page % 16);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(w->times[page + i]++, 0);
	cursor_fault(&w->c, page);
}

static void check_all_once(struct world *w)
{
	size_t first;

	assert_int_equal(ledger_left(&w->l), 0);
	assert_int_equal(cursor_take(&w->c, &w->l, &w->chunk, &first), 0);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(w->times[i], 1);
}

static void without_faults_it_ascends(void **state)
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

/* A fault on a page that no thread took: a lost request, say */
static void faults_without_a_taken_page(void **state)
{
	struct world *w = *state;
	uint64_t seed = 5;
	size_t first;

	do {
		cursor_fault(&w->c, dice(&seed) % N);
	} while (push(w, &first));
	check_all_once(w);
}

static void the_chunk_of_the_latest_fault_comes_next(void **state)
{
	struct world *w = *state;
	size_t first;

	while (w->chunk.at < CHUNK_PAGES)
		push(w, &first);
	cursor_fault(&w->c, 9000);
	cursor_fault(&w->c, 15000);
	for (size_t at = 14848; at < 15360; at += WIRE_RUN_PAGES) {
		assert_int_equal(push(w, &first), WIRE_RUN_PAGES);
		assert_int_equal(first, at);
	}
	/* Then on where the cursor was */
	push(w, &first);
	assert_int_equal(first, CHUNK_PAGES);
}

/* A page that was held while its chunk was handed out */
static void a_held_page_gets_its_turn(void **state)
{
	struct world *w = *state;
	size_t first, n;

	assert_true(ledger_hold(&w->l, 700));
	while (push(w, &first))
		;
	assert_int_equal(ledger_left(&w->l), 1);
	assert_int_equal(w->times[700], 0);
	ledger_unhold(&w->l);
	n = push(w, &first);
	assert_int_equal(n, 1);
	assert_int_equal(first, 700);
	check_all_once(w);
}

/* A thread without a chunk takes from the other threads' chunks */
static void an_idle_thread_helps(void **state)
{
	struct world *w = *state;
	struct cursor_chunk slow = { 0 };
	size_t first, n;

	n = cursor_take(&w->c, &w->l, &slow, &first);
	for (size_t i = 0; i < n; i++)
		w->times[first + i]++;
	while (push(w, &first))
		;
	check_all_once(w);
	assert_int_equal(cursor_take(&w->c, &w->l, &slow, &first), 0);
}

/* After a lost link every chunk is handed out again */
static void a_restart_begins_at_the_first_page(void **state)
{
	struct world *w = *state;
	struct ledger_rebuild r;
	size_t first;

	while (push(w, &first))
		;
	cursor_fault(&w->c, 9000);
	ledger_rebuild_begin(&r, &w->l);
	ledger_rebuild_end(&r);
	cursor_restart(&w->c);
	w->chunk = (struct cursor_chunk){ 0 };
	memset(w->times, 0, N);
	without_faults_it_ascends(state);
}

/* Pages of a lost push connection, of chunks that were handed out long ago */
static void what_is_given_back_is_pushed_again(void **state)
{
	struct world *w = *state;
	size_t first, left;

	while (push(w, &first))
		;
	assert_int_equal(ledger_give_back(&w->l, 1000, 700), 700);
	assert_int_equal(ledger_give_back(&w->l, 15000, 3), 3);
	memset(w->times + 1000, 0, 700);
	memset(w->times + 15000, 0, 3);
	for (size_t at = 1000; (left = ledger_left(&w->l)) > 3; at = first) {
		size_t n = push(w, &first);

		assert_int_equal(first, at);
		first += n;
		/* The thread goes on from there, and does not search again */
		assert_in_range(w->chunk.end, first, first + CHUNK_PAGES - 1);
	}
	assert_int_equal(push(w, &first), 3);
	check_all_once(w);
}

struct pusher {
	struct world *w;
	uint8_t *times;
	uint64_t seed;
};

static void *push_all(void *arg)
{
	struct pusher *p = arg;
	struct cursor_chunk chunk = { 0 };

	while (ledger_left(&p->w->l)) {
		size_t first, n = cursor_take(&p->w->c, &p->w->l, &chunk,
					      &first);

		while (n--)
			p->times[first++]++;
	}
	return NULL;
}

static void *fault_all(void *arg)
{
	struct pusher *p = arg;

	while (ledger_left(&p->w->l)) {
		size_t page = dice(&p->seed) % N;

		if (dice(&p->seed) % 8)
			cursor_fault(&p->w->c, page);
		else if (ledger_take_demanded(&p->w->l, page))
			p->times[page]++;
	}
	return NULL;
}

static void threads_take_every_page_once(void **state)
{
	struct world *w = *state;
	struct pusher p[4];
	pthread_t t[4];

	for (unsigned k = 0; k < 4; k++) {
		p[k] = (struct pusher){ w, calloc(N, 1), k + 1 };
		assert_non_null(p[k].times);
		assert_int_equal(pthread_create(&t[k], NULL,
						k ? push_all : fault_all,
						&p[k]), 0);
	}
	for (unsigned k = 0; k < 4; k++)
		pthread_join(t[k], NULL);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(p[0].times[i] + p[1].times[i] +
				 p[2].times[i] + p[3].times[i], 1);
	for (unsigned k = 0; k < 4; k++)
		free(p[k].times);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(without_faults_it_ascends),
		cmocka_unit_test(every_page_once_whatever_the_faults),
		CASE(faults_only_at_the_ends),
		CASE(faults_without_a_taken_page),
		CASE(the_chunk_of_the_latest_fault_comes_next),
		CASE(a_held_page_gets_its_turn),
		CASE(an_idle_thread_helps),
		CASE(a_restart_begins_at_the_first_page),
		CASE(what_is_given_back_is_pushed_again),
		CASE(threads_take_every_page_once),
	};

	return cmocka_run_group_tests_name("cursor", tests, NULL, NULL);
}
