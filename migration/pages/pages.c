// SPDX-License-Identifier: MIT
/* pages.c - State of each page of a destination's RAM */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pages.h"
#include "race_point.h"

/*
 * A page's byte: what it counts as (2 bits), the work under way (2 bits), and
 * whether it was requested. Work of 1 and 2 is the number of copiers.
 */
enum {
	BASE_MISSING, BASE_ZERO, BASE_PRESENT, BASE_POISONED, BASES,
	BASE		= 3,

	WORK_COPY	= 1 << 2,
	WORK_COPY_TWICE	= 2 << 2,
	WORK_POISON	= 3 << 2,
	WORK		= 3 << 2,

	ASKED		= 1 << 4,
};

#define LANES		8u		/* page bytes in a word */
#define ALL_LANES	0x0101010101010101ull

enum chunk { CHUNK_FRESH, CHUNK_MIXED, CHUNK_ZERO };

int pages_init(struct pages *t, size_t n)
{
	*t = (struct pages){ .n = n, .missing = n };
	t->word = calloc(n / LANES + 1, sizeof(*t->word));
	t->chunk = calloc(n / CHUNK_PAGES + 1, 1);
	if (t->word && t->chunk)
		return 0;
	pages_fini(t);
	return -ENOMEM;
}

void pages_fini(struct pages *t)
{
	free(t->word);
	free(t->chunk);
	t->word = NULL;
	t->chunk = NULL;
}

static bool is_here(uint8_t b)
{
	return (b & BASE) >= BASE_PRESENT;
}

/*
 * The transitions. Each takes a page's byte, and changes it if the page is in
 * a state that allows the transition. Return: whether it is
 */
typedef bool page_step(uint8_t *b);

static bool step_request(uint8_t *b)
{
	if ((*b & BASE) != BASE_MISSING || *b & ASKED ||
	    (*b & WORK) > WORK_COPY)
		return false;
	*b |= ASKED;
	return true;
}

static bool step_claim(uint8_t *b)
{
	if (is_here(*b) || *b & WORK)
		return false;
	*b |= WORK_COPY;
	return true;
}

static bool step_claim_demanded(uint8_t *b)
{
	if ((*b & WORK) > WORK_COPY ||
	    (*b & WORK ? (*b & BASE) != BASE_MISSING : is_here(*b)))
		return false;
	*b += WORK_COPY;
	return true;
}

/* A page that was lost meanwhile, with all of its huge page, stays so */
static bool step_placed(uint8_t *b)
{
	if ((*b & BASE) == BASE_POISONED)
		return false;
	/* ASKED stays, for pages_show(): a vCPU waited for the page */
	*b = (uint8_t)(BASE_PRESENT | (*b & ASKED) |
		       ((*b & WORK) - WORK_COPY));
	return true;
}

static bool step_released(uint8_t *b)
{
	if ((*b & BASE) == BASE_POISONED)
		return false;
	*b = (uint8_t)(*b - WORK_COPY);
	return true;
}

static bool step_claim_poison(uint8_t *b)
{
	if (is_here(*b) || *b & WORK)
		return false;
	*b |= WORK_POISON;
	return true;
}

static bool step_poisoned(uint8_t *b)
{
	*b = BASE_POISONED;
	return true;
}

static bool step_poison_refused(uint8_t *b)
{
	*b = BASE_PRESENT;
	return true;
}

static bool step_poison_released(uint8_t *b)
{
	*b &= (uint8_t)~WORK;
	return true;
}

static bool step_zero(uint8_t *b)
{
	if (*b != BASE_MISSING)
		return false;
	*b = BASE_ZERO;
	return true;
}

static bool step_missing(uint8_t *b)
{
	if (*b != BASE_ZERO)
		return false;
	*b = BASE_MISSING;
	return true;
}

/* No copier, and no poison: its contents are out of date */
static bool step_forget(uint8_t *b)
{
	if ((*b & (BASE | WORK)) != BASE_PRESENT)
		return false;
	*b = BASE_MISSING;
	return true;
}

static bool step_lose(uint8_t *b)
{
	if ((*b & ~ASKED) != BASE_PRESENT)
		return false;
	*b = BASE_POISONED;
	return true;
}

/* How the counters change: pages that came to count as each base, or ceased */
struct tally {
	size_t to[BASES], from[BASES];
};

static void pages_count(struct pages *t, const struct tally *y)
{
	_Atomic size_t *counter[BASES] = {
		&t->missing, &t->zero, &t->present, &t->poisoned,
	};

	for (unsigned i = 0; i < BASES; i++)
		if (y->to[i])
			atomic_fetch_add(counter[i], y->to[i]);
	for (unsigned i = 0; i < BASES; i++)
		if (y->from[i])
			atomic_fetch_sub(counter[i], y->from[i]);
}

static uint8_t lane_get(uint64_t word, unsigned lane)
{
	return (uint8_t)(word >> 8 * lane);
}

/* From now on bytes of 0 in the page's chunk have one meaning; return it */
static uint8_t chunk_decide(struct pages *t, size_t page)
{
	_Atomic uint8_t *c = &t->chunk[page / CHUNK_PAGES];
	uint8_t is = *c;

	if (is == CHUNK_FRESH && atomic_compare_exchange_strong(c, &is,
							CHUNK_MIXED))
		return BASE_MISSING;
	return is == CHUNK_ZERO ? BASE_ZERO : BASE_MISSING;
}

/* A run of pages within one word */
struct span {
	unsigned lane, n;
	uint8_t base;		/* meaning of a byte of 0 */
};

static inline void tally_step(struct tally *y, uint8_t was, uint8_t is,
			      unsigned pages)
{
	if ((was & BASE) == (is & BASE))
		return;
	y->from[was & BASE] += pages;
	y->to[is & BASE] += pages;
}

/* A word whose pages are alike: one step for all of them */
static inline unsigned alike_step(uint64_t *word, const struct span *s,
				  page_step *step, struct tally *y)
{
	uint8_t b = (uint8_t)*word, was;

	if (!b)
		b = s->base;
	was = b;
	if (!step(&b))
		return 0;
	*word = b * ALL_LANES;
	tally_step(y, was, b, LANES);
	return LANES;
}

/*
 * Step the pages of a span in a copy of their word. Return: pages stepped; if
 * @run, only those before the first that could not be
 */
static inline unsigned word_step(uint64_t *word, const struct span *s,
				 page_step *step, bool run, struct tally *y)
{
	unsigned done = 0;

	if (s->n == LANES && *word == (uint8_t)*word * ALL_LANES)
		return alike_step(word, s, step, y);
	for (unsigned k = s->lane; k < s->lane + s->n; k++) {
		uint8_t b = lane_get(*word, k), was;

		if (!b)
			b = s->base;
		was = b;
		if (!step(&b)) {
			if (run)
				break;
			continue;
		}
		*word = (*word & ~(0xffull << 8 * k)) | (uint64_t)b << 8 * k;
		tally_step(y, was, b, 1);
		done++;
	}
	return done;
}

static inline unsigned span_step(struct pages *t, size_t word,
				 const struct span *s, page_step *step,
				 bool run, struct tally *total)
{
	uint64_t old = t->word[word], new;
	struct tally y;
	unsigned done;

	do {
		y = *total;
		new = old;
		done = word_step(&new, s, step, run, &y);
	} while (done && !atomic_compare_exchange_weak(&t->word[word], &old,
						       new));
	if (done)
		*total = y;
	return done;
}

/* As word_step(), for any number of pages */
static inline size_t pages_step(struct pages *t, size_t i, size_t n,
				page_step *step, bool run)
{
	struct tally y = { { 0 }, { 0 } };
	size_t done = 0;

	while (n) {
		struct span s = { .lane = i % LANES, .n = LANES - i % LANES };
		unsigned got;

		if (s.n > n)
			s.n = (unsigned)n;
		s.base = chunk_decide(t, i);
		got = span_step(t, i / LANES, &s, step, run, &y);
		done += got;
		if (run && got < s.n)
			break;
		i += s.n;
		n -= s.n;
	}
	pages_count(t, &y);
	return done;
}

enum page_state pages_get(const struct pages *t, size_t i)
{
	uint8_t b = lane_get(t->word[i / LANES], i % LANES);

	if (!b)
		return t->chunk[i / CHUNK_PAGES] == CHUNK_ZERO ? PAGE_ZERO
							       : PAGE_MISSING;
	if ((b & WORK) == WORK_POISON)
		return PAGE_POISONING;
	if (b & WORK)
		return is_here(b) ? PAGE_HELD
		       : (b & WORK) == WORK_COPY ? PAGE_COPYING
						 : PAGE_COPYING_TWICE;
	switch (b & BASE) {
	case BASE_ZERO:
		return PAGE_ZERO;
	case BASE_PRESENT:
		return PAGE_PRESENT;
	case BASE_POISONED:
		return PAGE_POISONED;
	default:
		return b & ASKED ? PAGE_REQUESTED : PAGE_MISSING;
	}
}

bool pages_request(struct pages *t, size_t i)
{
	return pages_step(t, i, 1, step_request, true);
}

size_t pages_claim(struct pages *t, size_t i, size_t n)
{
	return pages_step(t, i, n, step_claim, true);
}

bool pages_claim_demanded(struct pages *t, size_t i)
{
	return pages_step(t, i, 1, step_claim_demanded, true);
}

void pages_placed(struct pages *t, size_t i, size_t n)
{
	pages_step(t, i, n, step_placed, false);
}

void pages_released(struct pages *t, size_t i, size_t n)
{
	pages_step(t, i, n, step_released, false);
}

size_t pages_claim_poison(struct pages *t, size_t i, size_t n)
{
	return pages_step(t, i, n, step_claim_poison, true);
}

void pages_poisoned(struct pages *t, size_t i, size_t n)
{
	pages_step(t, i, n, step_poisoned, true);
}

void pages_poison_refused(struct pages *t, size_t i, size_t n)
{
	pages_step(t, i, n, step_poison_refused, true);
}

void pages_poison_released(struct pages *t, size_t i, size_t n)
{
	pages_step(t, i, n, step_poison_released, true);
}

bool pages_lose(struct pages *t, size_t i)
{
	return pages_step(t, i, 1, step_lose, true);
}

/* Mark the missing pages of a part of a MIXED chunk */
static void words_set_zero(struct pages *t, size_t i, size_t n,
			   struct tally *y)
{
	while (n) {
		struct span s = { .lane = i % LANES, .n = LANES - i % LANES };
		uint64_t untouched = 0;

		if (s.n > n)
			s.n = (unsigned)n;
		if (s.n == LANES && atomic_compare_exchange_strong(
				&t->word[i / LANES], &untouched,
				BASE_ZERO * ALL_LANES)) {
			y->to[BASE_ZERO] += LANES;
			y->from[BASE_MISSING] += LANES;
		} else {
			span_step(t, i / LANES, &s, step_zero, false, y);
		}
		i += s.n;
		n -= s.n;
	}
}

/* Mark a whole chunk whose pages were never touched. Return: whether it was */
static bool chunk_set_zero(struct pages *t, size_t i, size_t n)
{
	uint8_t fresh = CHUNK_FRESH;

	return i % CHUNK_PAGES == 0 && (n >= CHUNK_PAGES || i + n == t->n) &&
	       atomic_compare_exchange_strong(&t->chunk[i / CHUNK_PAGES],
					      &fresh, CHUNK_ZERO);
}

size_t pages_set_zero(struct pages *t, size_t i, size_t n)
{
	struct tally y = { { 0 }, { 0 } };

	while (n) {
		size_t now = CHUNK_PAGES - i % CHUNK_PAGES;

		if (now > n)
			now = n;
		if (chunk_set_zero(t, i, n)) {
			y.to[BASE_ZERO] += now;
			y.from[BASE_MISSING] += now;
		} else if (chunk_decide(t, i) == BASE_MISSING) {
			words_set_zero(t, i, now, &y);
		}
		i += now;
		n -= now;
	}
	pages_count(t, &y);
	return y.to[BASE_ZERO];
}

/* Bytes of 0 mean ZERO in such a chunk: store what they mean */
static void chunk_spell_out(struct pages *t, size_t i)
{
	size_t first = i - i % CHUNK_PAGES, end = first + CHUNK_PAGES;

	if (t->chunk[i / CHUNK_PAGES] != CHUNK_ZERO)
		return;
	for (size_t w = first / LANES; w < end / LANES && w <= t->n / LANES;
	     w++) {
		uint64_t old = t->word[w], new;

		/* A peer may send pages on the demand connection meanwhile */
		do {
			new = old;
			for (unsigned k = 0; k < LANES; k++)
				if (!lane_get(old, k))
					new |= (uint64_t)BASE_ZERO << 8 * k;
			RACE_POINT(chunk_spelled);
		} while (!atomic_compare_exchange_weak(&t->word[w], &old,
						       new));
	}
	t->chunk[i / CHUNK_PAGES] = CHUNK_MIXED;
}

/* Step to MISSING, by chunks in which a byte of 0 means MISSING */
static size_t step_to_missing(struct pages *t, size_t i, size_t n,
			      page_step *step)
{
	size_t done = 0;

	while (n) {
		size_t now = CHUNK_PAGES - i % CHUNK_PAGES;

		if (now > n)
			now = n;
		chunk_spell_out(t, i);
		done += pages_step(t, i, now, step, false);
		i += now;
		n -= now;
	}
	return done;
}

size_t pages_set_missing(struct pages *t, size_t i, size_t n)
{
	return step_to_missing(t, i, n, step_missing);
}

size_t pages_forget(struct pages *t, size_t i, size_t n)
{
	return step_to_missing(t, i, n, step_forget);
}

size_t pages_next_requested(const struct pages *t, size_t i, size_t end)
{
	while (i < end) {
		if (!(t->word[i / LANES] & ASKED * ALL_LANES))
			i = (i / LANES + 1) * LANES;
		else if (pages_get(t, i) == PAGE_REQUESTED)
			return i;
		else
			i++;
	}
	return end;
}

static enum page_have byte_have(const struct pages *t, size_t i, uint8_t b)
{
	static const enum page_have have[BASES] = {
		HAVE_ABSENT, HAVE_ZERO, HAVE_PRESENT, HAVE_POISONED,
	};

	if (!b)
		return t->chunk[i / CHUNK_PAGES] == CHUNK_ZERO ? HAVE_ZERO
							       : HAVE_ABSENT;
	return (b & WORK) == WORK_POISON ? HAVE_ABSENT : have[b & BASE];
}

/* By words, where the pages of a word are alike */
size_t pages_run(const struct pages *t, size_t i, size_t end,
		 enum page_have *have)
{
	const size_t first = i;
	enum page_have is = HAVE_ABSENT;

	while (i < end) {
		uint64_t word = t->word[i / LANES];
		uint8_t b = lane_get(word, i % LANES);
		enum page_have now = byte_have(t, i, b);

		if (i == first)
			is = now;
		else if (now != is)
			break;
		i += i % LANES || word != b * ALL_LANES ? 1 : LANES;
	}
	*have = is;
	return (i < end ? i : end) - first;
}

bool pages_is_copied_zero(const struct pages *t, size_t i)
{
	return lane_get(t->word[i / LANES], i % LANES) ==
	       (BASE_ZERO | WORK_COPY);
}

static enum page_show byte_show(const struct pages *t, size_t i, uint8_t b)
{
	static const enum page_show show[BASES] = {
		SHOW_MISSING, SHOW_ZERO, SHOW_MOVED, SHOW_POISONED,
	};

	if (!b)
		return t->chunk[i / CHUNK_PAGES] == CHUNK_ZERO ? SHOW_ZERO
							       : SHOW_MISSING;
	if (!(b & ASKED) || (b & BASE) == BASE_POISONED)
		return show[b & BASE];
	return is_here(b) ? SHOW_DEMANDED : SHOW_REQUESTED;
}

void pages_show(const struct pages *t, size_t i, size_t n, uint8_t *to)
{
	const size_t end = i + n;

	while (i < end) {
		uint64_t word = t->word[i / LANES];
		uint8_t b = lane_get(word, i % LANES);
		size_t same = 1;

		if (!(i % LANES) && end - i >= LANES && word == b * ALL_LANES)
			same = LANES;
		memset(to, (int)byte_show(t, i, b), same);
		to += same;
		i += same;
	}
}

uint64_t pages_zero_bits(const struct pages *t, size_t i)
{
	uint64_t bits = 0;

	for (unsigned k = 0; k < 64; k++)
		bits |= (uint64_t)(pages_get(t, i + k) == PAGE_ZERO) << k;
	return bits;
}
