// SPDX-License-Identifier: MIT
/* sent.c - Which pages of a source's RAM were handed over */

#include <errno.h>
#include <stdlib.h>

#include "sent.h"

#define BITS	64

int sent_init(struct sent *s, size_t n)
{
	*s = (struct sent){ .n = n };
	s->left = n;
	s->word = calloc(n / BITS + 1, sizeof(*s->word));
	return s->word ? 0 : -ENOMEM;
}

void sent_fini(struct sent *s)
{
	free(s->word);
	s->word = NULL;
}

bool sent_test(const struct sent *s, size_t i)
{
	return s->word[i / BITS] >> i % BITS & 1;
}

/* Bits from to to-1 of one word */
static uint64_t mask(size_t from, size_t to)
{
	return (to == BITS ? ~0ull : (1ull << to) - 1) & ~0ull << from;
}

/* The part of a run that lies in one word: a single atomic operation */
static size_t claim_word(struct sent *s, size_t i, size_t n)
{
	_Atomic uint64_t *w = &s->word[i / BITS];
	size_t from = i % BITS, got;
	uint64_t old = *w, taken, want;

	do {
		taken = old & mask(from, from + n);
		got = taken ? (size_t)__builtin_ctzll(taken) - from : n;
		if (!got)
			return 0;
		want = mask(from, from + got);
	} while (!atomic_compare_exchange_weak(w, &old, old | want));
	return got;
}

size_t sent_claim(struct sent *s, size_t i, size_t max)
{
	size_t done = 0;

	if (max > s->n - i)
		max = s->n - i;
	while (done < max) {
		size_t room = BITS - (i + done) % BITS;
		size_t n = max - done < room ? max - done : room;
		size_t got = claim_word(s, i + done, n);

		done += got;
		if (got < n)
			break;
	}
	atomic_fetch_sub(&s->left, done);
	return done;
}

void sent_release(struct sent *s, size_t i)
{
	atomic_fetch_and(&s->word[i / BITS], ~(1ull << i % BITS));
	atomic_fetch_add(&s->left, 1);
}

size_t sent_next(const struct sent *s, size_t i)
{
	while (i < s->n) {
		uint64_t open = ~s->word[i / BITS] & mask(i % BITS, BITS);

		if (open) {
			i = i / BITS * BITS + (size_t)__builtin_ctzll(open);
			break;
		}
		i = (i / BITS + 1) * BITS;
	}
	return i < s->n ? i : s->n;
}

size_t sent_prev(const struct sent *s, size_t i)
{
	while (i) {
		size_t base = (i - 1) / BITS * BITS;
		uint64_t open = ~s->word[base / BITS] & mask(0, i - base);

		if (open)
			return base + BITS - 1 -
			       (size_t)__builtin_clzll(open);
		i = base;
	}
	return s->n;
}
