// SPDX-License-Identifier: MIT
/* ledger.c - Pages of a source's RAM that were taken to be sent */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "ledger.h"
#include "race_point.h"
#include "vmm/base/bits.h"

#define HOLD_BITS	34
#define HOLD_PAGE	((1ull << HOLD_BITS) - 1)
#define HOLD_WAIT_US	20

int ledger_init(struct ledger *l, size_t n)
{
	*l = (struct ledger){ .n = n, .left = n };
	l->word = calloc(n / BITS + 1, sizeof(*l->word));
	l->unsure = calloc(n / BITS + 1, sizeof(*l->unsure));
	l->demanded = calloc(n / BITS + 1, sizeof(*l->demanded));
	if (l->word && l->unsure && l->demanded)
		return 0;
	ledger_fini(l);
	return -ENOMEM;
}

void ledger_fini(struct ledger *l)
{
	free(l->word);
	free(l->unsure);
	free(l->demanded);
	free(l->dirty);
	l->word = l->unsure = l->demanded = l->dirty = NULL;
	l->shows_dirty = false;
}

bool ledger_test(const struct ledger *l, size_t i)
{
	return l->word[i / BITS] >> i % BITS & 1;
}

bool ledger_is_unsure(const struct ledger *l, size_t i)
{
	return l->unsure[i / BITS] >> i % BITS & 1;
}

void ledger_show(const struct ledger *l, size_t i, size_t n, uint8_t *to)
{
	const bool dirty = l->shows_dirty;

	for (const size_t end = i + n; i < end; i++, to++) {
		const uint64_t bit = 1ull << i % BITS;

		*to = !(l->word[i / BITS] & bit) ? SHOW_HERE
		      : l->demanded[i / BITS] & bit ? SHOW_DEMANDED
		      : dirty && l->dirty[i / BITS] & bit ? SHOW_DIRTY
							  : SHOW_MOVED;
	}
}

/* Freed with the ledger only: another thread may be in ledger_show() */
int ledger_dirty_begin(struct ledger *l)
{
	if (!l->dirty)
		l->dirty = calloc(l->n / BITS + 1, sizeof(*l->dirty));
	l->shows_dirty = l->dirty;
	return l->dirty ? 0 : -ENOMEM;
}

void ledger_dirty_set(struct ledger *l, size_t word, uint64_t bits)
{
	atomic_store_explicit(&l->dirty[word], bits, memory_order_relaxed);
}

void ledger_dirty_sent(struct ledger *l, size_t i, size_t n)
{
	while (n) {
		size_t from = i % BITS, room = BITS - from;
		size_t now = n < room ? n : room;

		l->dirty[i / BITS] &= ~bits_mask(from, from + now);
		i += now;
		n -= now;
	}
}

void ledger_dirty_end(struct ledger *l)
{
	l->shows_dirty = false;
}

size_t ledger_left(const struct ledger *l)
{
	return l->left;
}

/* The part of a run that lies in one word: a single atomic operation */
static size_t take_in_word(struct ledger *l, size_t i, size_t n)
{
	_Atomic uint64_t *w = &l->word[i / BITS];
	size_t from = i % BITS, got;
	uint64_t old = *w, taken, want;

	do {
		taken = old & bits_mask(from, from + n);
		got = taken ? (size_t)__builtin_ctzll(taken) - from : n;
		if (!got)
			return 0;
		want = bits_mask(from, from + got);
	} while (!atomic_compare_exchange_weak(w, &old, old | want));
	return got;
}

static size_t take_run(struct ledger *l, size_t i, size_t max)
{
	size_t done = 0;

	if (max > l->n - i)
		max = l->n - i;
	while (done < max) {
		size_t room = BITS - (i + done) % BITS;
		size_t n = max - done < room ? max - done : room;
		size_t got = take_in_word(l, i + done, n);

		done += got;
		if (got < n)
			break;
	}
	return done;
}

size_t ledger_take(struct ledger *l, size_t i, size_t max)
{
	size_t n = take_run(l, i, max);

	if (n)
		atomic_fetch_sub(&l->left, n);
	return n;
}

size_t ledger_give_back(struct ledger *l, size_t i, size_t n)
{
	size_t done = 0;

	while (n) {
		size_t from = i % BITS, room = BITS - from;
		size_t now = n < room ? n : room;
		uint64_t mask = bits_mask(from, from + now);
		uint64_t old = atomic_fetch_and(&l->word[i / BITS], ~mask);

		done += (size_t)__builtin_popcountll(old & mask);
		i += now;
		n -= now;
	}
	atomic_fetch_add(&l->left, done);
	return done;
}

/* First the mark: ledger_hold(), which takes the page, must see it */
size_t ledger_send_again(struct ledger *l, size_t i, size_t n)
{
	for (size_t k = i; k < i + n; k++)
		atomic_fetch_or(&l->unsure[k / BITS], 1ull << k % BITS);
	return ledger_give_back(l, i, n);
}

static void hold_set(struct ledger *l, uint64_t page_plus_1)
{
	uint64_t serial = l->hold >> HOLD_BITS;

	l->hold = (serial + 1) << HOLD_BITS | page_plus_1;
}

/* If @hold did not change around a failed attempt, no hold made it fail */
bool ledger_take_demanded(struct ledger *l, size_t i)
{
	for (;;) {
		uint64_t hold = l->hold;

		RACE_POINT(ledger_demanded);
		if (ledger_take(l, i, 1)) {
			l->demanded[i / BITS] |= 1ull << i % BITS;
			return true;
		}
		RACE_POINT(ledger_refused);
		if ((hold & HOLD_PAGE) == i + 1)
			usleep(HOLD_WAIT_US);
		else if (l->hold == hold)
			return false;
	}
}

bool ledger_hold(struct ledger *l, size_t i)
{
	hold_set(l, i + 1);
	if (!take_run(l, i, 1)) {
		hold_set(l, 0);
		return false;
	}
	if (!ledger_is_unsure(l, i))
		return true;
	ledger_unhold(l);
	return false;
}

void ledger_unhold(struct ledger *l)
{
	uint64_t page = l->hold & HOLD_PAGE;

	if (!page--)
		return;
	atomic_fetch_and(&l->word[page / BITS], ~(1ull << page % BITS));
	hold_set(l, 0);
}

size_t ledger_next(const struct ledger *l, size_t i, size_t end)
{
	while (i < end) {
		uint64_t open = ~l->word[i / BITS] & bits_mask(i % BITS, BITS);

		if (open) {
			i = i / BITS * BITS + (size_t)__builtin_ctzll(open);
			break;
		}
		i = (i / BITS + 1) * BITS;
	}
	return i < end ? i : end;
}

/*
 * Set the bits of @mask in a word, or clear them. Return: bits that changed
 *
 * While ledger_hold() is under way for one of these pages, its bit may be the
 * hold's or that of a page that was sent: wait until it is decided. A hold that
 * begins after @hold was read changes the word, so that the exchange fails, or
 * finds the page taken and changes nothing.
 */
static uint64_t set_in_word(struct ledger *l, size_t word, uint64_t mask,
			    bool taken)
{
	for (;;) {
		uint64_t old = l->word[word], new;
		uint64_t page = l->hold & HOLD_PAGE;

		if (page-- && page / BITS == word &&
		    mask >> page % BITS & 1) {
			RACE_POINT(ledger_waits);
			usleep(HOLD_WAIT_US);
			continue;
		}
		RACE_POINT(ledger_set);
		new = taken ? old | mask : old & ~mask;
		if (atomic_compare_exchange_strong(&l->word[word], &old, new))
			return old ^ new;
	}
}

/* Return: pages that changed */
static size_t set_run(struct ledger *l, size_t i, size_t end, bool taken)
{
	size_t changed = 0;

	while (i < end) {
		size_t from = i % BITS, word = i / BITS;
		size_t to = end - (i - from) < BITS ? end - (i - from) : BITS;

		changed += (size_t)__builtin_popcountll(
			set_in_word(l, word, bits_mask(from, to), taken));
		i = (word + 1) * BITS;
	}
	if (taken)
		atomic_fetch_sub(&l->left, changed);
	else
		atomic_fetch_add(&l->left, changed);
	return changed;
}

void ledger_rebuild_begin(struct ledger_rebuild *r, struct ledger *l)
{
	*r = (struct ledger_rebuild){ .l = l };
}

int ledger_rebuild_run(struct ledger_rebuild *r, const struct page_run *run)
{
	const size_t n = r->l->n;

	if (run->first < r->next || run->first > n || !run->pages ||
	    run->pages > n - run->first || run->have == HAVE_ABSENT ||
	    run->have >= PAGE_HAVES)
		return -EBADMSG;
	r->removed += set_run(r->l, r->next, run->first, false);
	r->next = run->first + run->pages;
	r->added[run->have] += set_run(r->l, run->first, r->next, true);
	r->reported[run->have] += run->pages;
	return 0;
}

void ledger_rebuild_end(struct ledger_rebuild *r)
{
	r->removed += set_run(r->l, r->next, r->l->n, false);
	r->next = r->l->n;
	for (size_t i = 0; i <= r->l->n / BITS; i++)
		if (r->l->unsure[i])
			r->l->unsure[i] = 0;
}
