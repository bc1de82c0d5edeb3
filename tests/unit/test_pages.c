// SPDX-License-Identifier: MIT
/*
 * test_pages.c - The page table: every transition, poison is terminal, two
 * copiers, the counts add up, runs are cheap
 */

#include <pthread.h>

#include "unit.h"

#include "migration/pages/pages.h"

static void (*at_point)(struct pages *t);

#define RACE_POINT(name)	(at_point ? at_point(t) : (void)0)

#include "migration/pages/pages.c"
#include "vmm/base/clock.h"

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

/* Put a missing page into a state by the transitions that lead there */
static void bring(struct pages *t, size_t i, enum page_state to)
{
	switch (to) {
	case PAGE_MISSING:
		break;
	case PAGE_REQUESTED:
		assert_true(pages_request(t, i));
		break;
	case PAGE_ZERO:
		assert_int_equal(pages_set_zero(t, i, 1), 1);
		break;
	case PAGE_POISONING:
	case PAGE_POISONED:
		assert_int_equal(pages_claim_poison(t, i, 1), 1);
		if (to == PAGE_POISONED)
			pages_poisoned(t, i, 1);
		break;
	default:
		assert_int_equal(pages_claim(t, i, 1), 1);
		if (to != PAGE_COPYING)
			assert_true(pages_claim_demanded(t, i));
		if (to == PAGE_HELD || to == PAGE_PRESENT)
			pages_placed(t, i, 1);
		if (to == PAGE_PRESENT)
			pages_placed(t, i, 1);
	}
	assert_int_equal(pages_get(t, i), to);
	check_sum(t);
}

static bool do_request(struct pages *t, size_t i)
{
	return pages_request(t, i);
}

static bool do_claim(struct pages *t, size_t i)
{
	return pages_claim(t, i, 1);
}

static bool do_claim_demanded(struct pages *t, size_t i)
{
	return pages_claim_demanded(t, i);
}

static bool do_claim_poison(struct pages *t, size_t i)
{
	return pages_claim_poison(t, i, 1);
}

static bool do_zero(struct pages *t, size_t i)
{
	return pages_set_zero(t, i, 1);
}

static bool do_lose(struct pages *t, size_t i)
{
	return pages_lose(t, i);
}

static bool do_placed(struct pages *t, size_t i)
{
	pages_placed(t, i, 1);
	return true;
}

static bool do_released(struct pages *t, size_t i)
{
	pages_released(t, i, 1);
	return true;
}

static bool do_poisoned(struct pages *t, size_t i)
{
	pages_poisoned(t, i, 1);
	return true;
}

static bool do_poison_refused(struct pages *t, size_t i)
{
	pages_poison_refused(t, i, 1);
	return true;
}

static bool do_poison_released(struct pages *t, size_t i)
{
	pages_poison_released(t, i, 1);
	return true;
}

#define NO	(-1)	/* refused, the state stays */
#define NEVER	(-2)	/* the caller has no claim: not called */
#define SAME	(-3)	/* accepted, the state stays */

/* Every transition in every state, in the order of enum page_state */
static const struct {
	bool (*step)(struct pages *t, size_t i);
	int to[PAGE_STATES];
} want[] = {
	{ do_request, { PAGE_REQUESTED, NO, NO, SAME, NO, NO, NO, NO, NO } },
	{ do_claim, { PAGE_COPYING, PAGE_COPYING, PAGE_COPYING,
		      NO, NO, NO, NO, NO, NO } },
	{ do_claim_demanded, { PAGE_COPYING, PAGE_COPYING, PAGE_COPYING,
			       PAGE_COPYING_TWICE, NO, NO, NO, NO, NO } },
	{ do_claim_poison, { PAGE_POISONING, PAGE_POISONING, PAGE_POISONING,
			     NO, NO, NO, NO, NO, NO } },
	{ do_zero, { PAGE_ZERO, NO, NO, NO, NO, NO, NO, NO, NO } },
	{ do_lose, { NO, NO, NO, NO, NO, NO, NO, PAGE_POISONED, NO } },
	{ do_placed, { NEVER, NEVER, NEVER, PAGE_PRESENT, PAGE_HELD,
		       PAGE_PRESENT, NEVER, NEVER, SAME } },
	{ do_released, { NEVER, NEVER, NEVER, PAGE_MISSING, PAGE_COPYING,
			 PAGE_PRESENT, NEVER, NEVER, SAME } },
	{ do_poisoned, { NEVER, NEVER, NEVER, NEVER, NEVER, NEVER,
			 PAGE_POISONED, NEVER, NEVER } },
	{ do_poison_refused, { NEVER, NEVER, NEVER, NEVER, NEVER, NEVER,
			       PAGE_PRESENT, NEVER, NEVER } },
	{ do_poison_released, { NEVER, NEVER, NEVER, NEVER, NEVER, NEVER,
				PAGE_MISSING, NEVER, NEVER } },
};

/* Also with neighbours in the same word, which must not change */
static void the_whole_state_machine(void **state)
{
	struct pages *t = *state;
	size_t i = 1;

	for (size_t k = 0; k < sizeof(want) / sizeof(want[0]); k++)
		for (unsigned from = 0; from < PAGE_STATES; from++, i += 4) {
			int to = want[k].to[from];

			if (to == NEVER)
				continue;
			bring(t, i - 1, PAGE_PRESENT);
			bring(t, i + 1, PAGE_COPYING);
			bring(t, i, (enum page_state)from);
			assert_int_equal(want[k].step(t, i), to != NO);
			assert_int_equal(pages_get(t, i), to < 0 ? (int)from
								 : to);
			assert_int_equal(pages_get(t, i - 1), PAGE_PRESENT);
			assert_int_equal(pages_get(t, i + 1), PAGE_COPYING);
			check_sum(t);
		}
}

/* Claims remember what the page was */
static void a_release_restores(void **state)
{
	static const enum page_state was[] = {
		PAGE_MISSING, PAGE_REQUESTED, PAGE_ZERO,
	};
	struct pages *t = *state;

	for (size_t i = 0; i < 3; i++) {
		size_t zero;

		bring(t, i, was[i]);
		zero = t->zero;
		assert_int_equal(pages_claim(t, i, 1), 1);
		assert_int_equal(t->zero, zero);
		pages_released(t, i, 1);
		assert_int_equal(pages_get(t, i), was[i]);
		assert_int_equal(pages_claim_poison(t, i, 1), 1);
		assert_int_equal(t->zero, zero);
		pages_poison_released(t, i, 1);
		assert_int_equal(pages_get(t, i), was[i]);
	}
}

/* The fault thread requests what a bulk thread copies, but once */
static void a_request_does_not_rely_on_a_copier(void **state)
{
	struct pages *t = *state;

	bring(t, 0, PAGE_COPYING);
	assert_true(pages_request(t, 0));
	assert_false(pages_request(t, 0));
	assert_int_equal(pages_get(t, 0), PAGE_COPYING);
	pages_released(t, 0, 1);
	assert_int_equal(pages_get(t, 0), PAGE_REQUESTED);
}

/* No thread joins the copier of a page that is known to be zeroes */
static void known_zeroes_have_one_copier(void **state)
{
	struct pages *t = *state;

	bring(t, 0, PAGE_ZERO);
	assert_int_equal(pages_claim(t, 0, 1), 1);
	assert_false(pages_claim_demanded(t, 0));
	assert_false(pages_request(t, 0));
	pages_released(t, 0, 1);
	assert_true(pages_claim_demanded(t, 0));
	assert_int_equal(pages_get(t, 0), PAGE_COPYING);
}

/* Poison may follow a copy only when its last copier has left */
static void poison_waits_for_both_copiers(void **state)
{
	struct pages *t = *state;

	bring(t, 0, PAGE_COPYING_TWICE);
	assert_false(pages_lose(t, 0));
	assert_int_equal(pages_claim_poison(t, 0, 1), 0);
	pages_placed(t, 0, 1);
	assert_int_equal(pages_get(t, 0), PAGE_HELD);
	assert_int_equal(t->present, 1);
	assert_false(pages_lose(t, 0));
	assert_int_equal(pages_claim_poison(t, 0, 1), 0);
	pages_released(t, 0, 1);
	assert_int_equal(t->present, 1);
	assert_true(pages_lose(t, 0));
	assert_int_equal(pages_get(t, 0), PAGE_POISONED);
}

/* The race that UFFDIO_COPY would win: a late copy must get no claim */
static void poison_is_terminal(void **state)
{
	struct pages *t = *state;

	bring(t, 0, PAGE_POISONED);
	bring(t, 1, PAGE_PRESENT);
	assert_true(pages_lose(t, 1));
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(pages_claim(t, i, 1), 0);
		assert_false(pages_claim_demanded(t, i));
		assert_int_equal(pages_claim_poison(t, i, 1), 0);
		assert_false(pages_request(t, i));
		assert_int_equal(pages_set_zero(t, i, 1), 0);
		assert_false(pages_lose(t, i));
		assert_int_equal(pages_get(t, i), PAGE_POISONED);
	}
	assert_int_equal(t->poisoned, 2);
	assert_int_equal(t->present, 0);
}

static void runs_stop_at_what_is_not_free(void **state)
{
	struct pages *t = *state;

	bring(t, 70, PAGE_PRESENT);
	bring(t, 40, PAGE_REQUESTED);
	assert_int_equal(pages_claim(t, 3, 200), 67);
	assert_int_equal(pages_claim(t, 3, 1), 0);
	assert_int_equal(pages_claim(t, 71, 20), 20);
	pages_placed(t, 3, 30);
	pages_released(t, 33, 37);
	assert_int_equal(pages_get(t, 32), PAGE_PRESENT);
	assert_int_equal(pages_get(t, 33), PAGE_MISSING);
	assert_int_equal(pages_get(t, 40), PAGE_REQUESTED);
	assert_int_equal(pages_next_requested(t, 0, N), 40);
	assert_int_equal(pages_next_requested(t, 41, N), N);
	assert_int_equal(pages_next_requested(t, 0, 40), 40);
}

static void zero_stretches_skip_what_is_known(void **state)
{
	struct pages *t = *state;

	bring(t, 3, PAGE_REQUESTED);
	bring(t, 4, PAGE_PRESENT);
	bring(t, 5, PAGE_POISONED);
	bring(t, 6, PAGE_COPYING);
	assert_int_equal(pages_set_zero(t, 0, 10), 6);
	assert_int_equal(pages_set_zero(t, 0, 10), 0);
	assert_int_equal(pages_set_zero(t, N, 0), 0);
	assert_int_equal(t->zero, 6);
	assert_int_equal(pages_zero_bits(t, 0), 0x387);
}

/* Whole chunks, their borders, and the last one, which is not whole */
static void zero_chunks_are_like_zero_pages(void **state)
{
	struct pages *t = *state;

	assert_int_equal(pages_set_zero(t, 500, 500), 500);
	assert_int_equal(pages_get(t, 499), PAGE_MISSING);
	for (size_t i = 500; i < N; i++)
		assert_int_equal(pages_get(t, i), PAGE_ZERO);
	assert_int_equal(t->zero, 500);
	assert_false(pages_request(t, 600));
	assert_int_equal(pages_set_zero(t, 512, 100), 0);
	assert_int_equal(pages_claim(t, 600, 2), 2);
	assert_int_equal(pages_get(t, 601), PAGE_COPYING);
	pages_placed(t, 600, 1);
	pages_released(t, 601, 1);
	assert_int_equal(pages_get(t, 601), PAGE_ZERO);
	assert_int_equal(pages_get(t, 602), PAGE_ZERO);
	assert_int_equal(t->zero, 499);
	assert_int_equal(pages_zero_bits(t, 576), ~(1ull << 24));
}

/* The mark for a whole chunk is only for one of which no page was touched */
static void a_touched_chunk_has_its_pages(void **state)
{
	struct pages *t = *state;

	assert_int_equal(pages_claim(t, 3, 1), 1);
	pages_placed(t, 3, 1);
	assert_int_equal(pages_set_zero(t, 0, CHUNK_PAGES), CHUNK_PAGES - 1);
	assert_int_equal(pages_get(t, 3), PAGE_PRESENT);
	assert_int_equal(pages_get(t, 4), PAGE_ZERO);
	assert_int_equal(t->zero, CHUNK_PAGES - 1);
	check_sum(t);
}

/* Zeroes that were written since: in whole chunks, parts, and the last one */
static void zeroes_can_become_missing_again(void **state)
{
	const size_t n = 3 * CHUNK_PAGES + 100;
	struct pages t;

	(void)state;
	assert_int_equal(pages_init(&t, n), 0);
	assert_int_equal(pages_set_zero(&t, 0, n), n);
	assert_int_equal(pages_set_missing(&t, 7, 1), 1);
	assert_int_equal(pages_set_missing(&t, 7, 1), 0);
	/* Over the border of two chunks */
	assert_int_equal(pages_set_missing(&t, CHUNK_PAGES - 3, 10), 10);
	assert_int_equal(pages_set_missing(&t, n - 5, 5), 5);
	assert_int_equal(t.missing, 16);
	assert_int_equal(t.zero, n - 16);
	for (size_t i = 0; i < n; i++) {
		bool missing = i == 7 || i >= n - 5 ||
			       (i >= CHUNK_PAGES - 3 && i < CHUNK_PAGES + 7);

		assert_int_equal(pages_get(&t, i), missing ? PAGE_MISSING
							   : PAGE_ZERO);
	}
	/* They can be requested and placed as any other; poison stays poison */
	assert_true(pages_request(&t, 7));
	assert_false(pages_request(&t, 8));
	assert_int_equal(pages_claim_poison(&t, 20, 2), 2);
	pages_poisoned(&t, 20, 2);
	assert_int_equal(pages_set_missing(&t, 19, 4), 2);
	assert_int_equal(pages_get(&t, 20), PAGE_POISONED);
	pages_fini(&t);
}

/*
 * A chunk of zeroes is spelled out while the demand connection brings one of
 * its pages: neither the claim nor the page may be lost
 */
static unsigned words_spelled;

static void place_one(struct pages *t)
{
	/* The second word has the pages */
	if (words_spelled++ != 10 / LANES)
		return;
	at_point = NULL;
	assert_int_equal(pages_claim(t, 10, 2), 2);
	pages_placed(t, 10, 1);
}

static void spelling_out_keeps_what_changes_meanwhile(void **state)
{
	struct pages *t = *state;

	assert_int_equal(pages_set_zero(t, 0, 512), 512);
	words_spelled = 0;
	at_point = place_one;
	assert_int_equal(pages_set_missing(t, 9, 3), 1);
	assert_null(at_point);
	assert_int_equal(pages_get(t, 9), PAGE_MISSING);
	assert_int_equal(pages_get(t, 10), PAGE_PRESENT);
	assert_true(pages_is_copied_zero(t, 11));
	pages_placed(t, 11, 1);
	assert_int_equal(pages_get(t, 12), PAGE_ZERO);
	assert_int_equal(t->present, 2);
	assert_int_equal(t->zero, 509);
}

static const enum page_have have_of[PAGE_STATES] = {
	[PAGE_MISSING] = HAVE_ABSENT, [PAGE_REQUESTED] = HAVE_ABSENT,
	[PAGE_ZERO] = HAVE_ZERO, [PAGE_COPYING] = HAVE_ABSENT,
	[PAGE_COPYING_TWICE] = HAVE_ABSENT, [PAGE_HELD] = HAVE_PRESENT,
	[PAGE_POISONING] = HAVE_ABSENT, [PAGE_PRESENT] = HAVE_PRESENT,
	[PAGE_POISONED] = HAVE_POISONED,
};

/* Each run against a walk page by page, over random tables */
static void runs_are_what_the_pages_are(void **state)
{
	const size_t n = 5 * CHUNK_PAGES + 77;
	uint64_t seed = 6;

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct pages t;

		assert_int_equal(pages_init(&t, n), 0);
		for (int k = 0; k < 12; k++) {
			size_t i = dice(&seed) % n, len = dice(&seed) % 900;

			pages_set_zero(&t, i - i % CHUNK_PAGES,
				       dice(&seed) % (n - i));
			for (; len-- && i < n; i++)
				if (pages_get(&t, i) == PAGE_MISSING)
					bring(&t, i, round % PAGE_STATES);
		}
		for (size_t i = 0, len; i < n; i += len) {
			enum page_have have, want;

			len = pages_run(&t, i, n, &have);
			assert_in_range(len, 1, n - i);
			for (size_t k = 0; k <= len && i + k < n; k++) {
				want = have_of[pages_get(&t, i + k)];
				if ((want == have) != (k < len))
					fail_msg("page %zu: %u in a run of %u",
						 i + k, want, have);
			}
		}
		pages_fini(&t);
	}
}

/* Zeroes that are being placed are zeroes: no answer is needed for them */
static void what_is_being_placed_is_what_it_was(void **state)
{
	struct pages *t = *state;
	enum page_have have;

	pages_set_zero(t, 10, 20);
	assert_int_equal(pages_claim(t, 12, 3), 3);
	assert_int_equal(pages_claim_poison(t, 20, 1), 1);
	assert_int_equal(pages_run(t, 10, N, &have), 10);
	assert_int_equal(have, HAVE_ZERO);
	assert_int_equal(pages_run(t, 20, N, &have), 1);
	assert_int_equal(have, HAVE_ABSENT);
	assert_int_equal(pages_run(t, N, N, &have), 0);
}

/* Only a few of many pages are requested */
static void requested_pages_are_found(void **state)
{
	struct pages *t = *state;

	assert_int_equal(pages_claim(t, 0, 600), 600);
	pages_placed(t, 0, 600);
	pages_set_zero(t, 700, 100);
	bring(t, 601, PAGE_REQUESTED);
	bring(t, 850, PAGE_REQUESTED);
	bring(t, 851, PAGE_REQUESTED);
	assert_true(pages_request(t, 900));
	assert_int_equal(pages_claim(t, 900, 1), 1);
	assert_int_equal(pages_next_requested(t, 0, N), 601);
	assert_int_equal(pages_next_requested(t, 602, N), 850);
	assert_int_equal(pages_next_requested(t, 851, N), 851);
	assert_int_equal(pages_next_requested(t, 852, N), N);
	assert_int_equal(pages_next_requested(t, 0, 601), 601);
	pages_released(t, 900, 1);
	assert_int_equal(pages_next_requested(t, 852, N), 900);
}

static void at_the_end_nothing_is_missing(void **state)
{
	struct pages *t = *state;

	pages_set_zero(t, 0, N / 2);
	for (size_t i = 0; i < N; i++) {
		if (i % 3 == 0)
			pages_request(t, i);
		if (i % 5) {
			assert_int_equal(pages_claim(t, i, 1), 1);
			check_sum(t);
			pages_placed(t, i, 1);
		} else {
			bring(t, i, PAGE_POISONED);
		}
		check_sum(t);
	}
	assert_int_equal(t->missing, 0);
	assert_int_equal(t->zero, 0);
	assert_int_equal(t->poisoned, N / 5);
}

/*
 * A bulk thread, the fault thread (which alone joins) and a thread that
 * poisons want every page. Beside the table each page has a number of copies
 * under way, kept by the threads themselves: it must be 0 when poison begins,
 * and no copy may begin after it.
 */
struct contest {
	struct pages *t;
	pthread_barrier_t line;
	_Atomic unsigned copies[N];
	_Atomic bool poisoned[N];
	_Atomic unsigned violations;
};

struct racer {
	struct contest *c;
	uint64_t seed;
	unsigned role;		/* 0 bulk, 1 fault, 2 poison */
};

static void one_copy(struct racer *r, size_t i)
{
	struct contest *c = r->c;
	bool mine = r->role ? pages_claim_demanded(c->t, i)
			    : pages_claim(c->t, i, 1);

	if (!mine)
		return;
	c->copies[i]++;
	c->violations += c->poisoned[i];
	for (volatile unsigned n = dice(&r->seed) % 64; n; n--)
		;
	c->violations += c->poisoned[i];
	c->copies[i]--;
	if (dice(&r->seed) % 4)
		pages_placed(c->t, i, 1);
	else
		pages_released(c->t, i, 1);
}

static void one_poison(struct racer *r, size_t i)
{
	struct contest *c = r->c;
	bool lost = pages_lose(c->t, i);

	if (!lost && !pages_claim_poison(c->t, i, 1))
		return;
	c->violations += c->copies[i];
	if (!lost && dice(&r->seed) % 2) {
		pages_poison_released(c->t, i, 1);
		return;
	}
	c->poisoned[i] = true;
	if (!lost)
		pages_poisoned(c->t, i, 1);
}

static void *race(void *arg)
{
	struct racer *r = arg;

	pthread_barrier_wait(&r->c->line);
	for (unsigned round = 0; round < 60; round++)
		for (size_t i = 0; i < N; i++) {
			unsigned what = dice(&r->seed) % 16;

			if (what == 0)
				pages_request(r->c->t, i);
			else if (what == 1)
				pages_set_zero(r->c->t, i, 1);
			else if (r->role < 2)
				one_copy(r, i);
			else if (what == 2)
				one_poison(r, i);
		}
	return NULL;
}

static void copies_never_meet_poison(void **state)
{
	struct contest *c = calloc(1, sizeof(*c));
	struct pages *t = *state;
	pthread_t thread[3];
	struct racer r[3];
	size_t lost = 0;

	assert_non_null(c);
	c->t = t;
	pthread_barrier_init(&c->line, NULL, 3);
	for (unsigned k = 0; k < 3; k++) {
		r[k] = (struct racer){ .c = c, .seed = k + 1, .role = k };
		assert_int_equal(pthread_create(&thread[k], NULL, race,
						&r[k]), 0);
	}
	for (unsigned k = 0; k < 3; k++)
		pthread_join(thread[k], NULL);
	pthread_barrier_destroy(&c->line);

	assert_int_equal(c->violations, 0);
	/* 60 rounds: none is left by chance */
	assert_int_equal(t->missing + t->zero, 0);
	assert_int_equal(t->present + t->poisoned, N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(pages_get(t, i), c->poisoned[i]
				 ? PAGE_POISONED : PAGE_PRESENT);
		lost += c->poisoned[i];
	}
	assert_int_equal(lost, t->poisoned);
	/* A race that always ends the same way was none */
	assert_in_range(lost, 1, N - 1);
	free(c);
}

/* Marking a chunk as zeroes against the first touch of its pages */
struct opener {
	struct pages *t;
	pthread_barrier_t *line;
};

static void *touch_all(void *arg)
{
	struct opener *o = arg;

	pthread_barrier_wait(o->line);
	for (size_t i = 0; i < o->t->n; i += CHUNK_PAGES / 2)
		if (pages_claim(o->t, i, 3) == 3)
			pages_placed(o->t, i, 3);
	return NULL;
}

static void chunks_against_first_touches(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		pthread_barrier_t line;
		struct pages t;
		struct opener o = { &t, &line };
		pthread_t thread;

		assert_int_equal(pages_init(&t, 64 * CHUNK_PAGES), 0);
		pthread_barrier_init(&line, NULL, 2);
		assert_int_equal(pthread_create(&thread, NULL, touch_all, &o),
				 0);
		pthread_barrier_wait(&line);
		pages_set_zero(&t, 0, t.n);
		pthread_join(thread, NULL);
		pthread_barrier_destroy(&line);
		check_sum(&t);
		assert_int_equal(t.present, 3 * 2 * 64);
		assert_int_equal(t.zero, t.n - t.present);
		for (size_t i = 0; i < t.n; i++)
			assert_int_equal(pages_get(&t, i),
				i % (CHUNK_PAGES / 2) < 3 ? PAGE_PRESENT
							  : PAGE_ZERO);
		pages_fini(&t);
	}
}

/* The zero list of 64 GiB of which 0.1 % was touched: shown, not asserted */
static void zero_list_of_64_gib(void **state)
{
	const size_t n = (64ull << 30) / 4096;
	size_t at = 0, lists = 0;
	struct pages t;
	uint64_t start, took;

	(void)state;
	assert_int_equal(pages_init(&t, n), 0);
	start = now_ns();
	for (; at < n; lists++) {
		size_t len = n / 128 - 128;

		pages_set_zero(&t, at, len < n - at ? len : n - at);
		at += len + 128;
	}
	took = now_ns() - start;
	print_message("zero list of 64 GiB, %zu entries: %llu us\n", lists,
		      (unsigned long long)took / 1000);
	assert_int_equal(t.missing + t.zero, n);
	assert_in_range(t.zero, n / 1000 * 998, n);
	pages_fini(&t);
}

/* What a precopy pass has brought is out of date */
static void present_pages_are_forgotten(void **state)
{
	struct pages *t = *state;

	assert_int_equal(pages_set_zero(t, 0, CHUNK_PAGES), CHUNK_PAGES);
	assert_int_equal(pages_claim(t, 3, 4), 4);
	pages_placed(t, 3, 4);
	assert_int_equal(pages_claim(t, 600, 2), 2);
	pages_placed(t, 600, 1);
	assert_int_equal(pages_claim_poison(t, 700, 1), 1);
	pages_poisoned(t, 700, 1);
	assert_true(pages_request(t, 800));
	assert_int_equal(pages_claim(t, 800, 1), 1);
	pages_placed(t, 800, 1);

	/* One in a chunk of zeroes, where a byte of 0 would mean ZERO */
	assert_int_equal(pages_forget(t, 4, 1), 1);
	assert_int_equal(pages_get(t, 4), PAGE_MISSING);
	assert_int_equal(pages_get(t, 3), PAGE_PRESENT);
	assert_int_equal(pages_forget(t, 0, N), 5);
	assert_int_equal(pages_get(t, 0), PAGE_ZERO);
	assert_int_equal(pages_get(t, 3), PAGE_MISSING);
	assert_int_equal(pages_get(t, 600), PAGE_MISSING);
	assert_int_equal(pages_get(t, 601), PAGE_COPYING);
	assert_int_equal(pages_get(t, 700), PAGE_POISONED);
	/* It can be requested, and placed, as for the first time */
	assert_true(pages_request(t, 800));
	assert_int_equal(pages_claim(t, 800, 1), 1);
	pages_placed(t, 800, 1);
	assert_int_equal(t->present, 1);
	pages_released(t, 601, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(all_missing_at_first),
		CASE(the_whole_state_machine),
		CASE(a_release_restores),
		CASE(a_request_does_not_rely_on_a_copier),
		CASE(known_zeroes_have_one_copier),
		CASE(poison_waits_for_both_copiers),
		CASE(poison_is_terminal),
		CASE(runs_stop_at_what_is_not_free),
		CASE(zero_stretches_skip_what_is_known),
		CASE(zero_chunks_are_like_zero_pages),
		CASE(a_touched_chunk_has_its_pages),
		CASE(present_pages_are_forgotten),
		cmocka_unit_test(runs_are_what_the_pages_are),
		CASE(spelling_out_keeps_what_changes_meanwhile),
		CASE(what_is_being_placed_is_what_it_was),
		CASE(requested_pages_are_found),
		CASE(at_the_end_nothing_is_missing),
		CASE(copies_never_meet_poison),
		cmocka_unit_test(chunks_against_first_touches),
		cmocka_unit_test(zeroes_can_become_missing_again),
		cmocka_unit_test(zero_list_of_64_gib),
	};

	return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
