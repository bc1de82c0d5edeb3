// SPDX-License-Identifier: MIT
/* pages.c - What each page of a destination's RAM is */

#include <errno.h>
#include <stdlib.h>

#include "pages.h"

int pages_init(struct pages *t, size_t n)
{
	*t = (struct pages){ .n = n };
	t->state = calloc(n, 1);
	t->missing = n;
	return t->state ? 0 : -ENOMEM;
}

void pages_fini(struct pages *t)
{
	free(t->state);
	t->state = NULL;
}

enum page_state pages_get(const struct pages *t, size_t i)
{
	return (enum page_state)t->state[i];
}

static bool move(struct pages *t, size_t i, enum page_state from,
		 enum page_state to)
{
	uint8_t want = (uint8_t)from;

	return atomic_compare_exchange_strong(&t->state[i], &want,
					      (uint8_t)to);
}

bool pages_request(struct pages *t, size_t i)
{
	return move(t, i, PAGE_MISSING, PAGE_REQUESTED);
}

bool pages_claim(struct pages *t, size_t i, enum page_state *was)
{
	/* It may become REQUESTED between two looks, but never goes back */
	static const enum page_state free_states[] = {
		PAGE_MISSING, PAGE_REQUESTED, PAGE_ZERO,
	};

	for (unsigned k = 0; k < 3; k++) {
		*was = free_states[k];
		if (move(t, i, *was, PAGE_PLACING))
			return true;
	}
	return false;
}

static _Atomic size_t *counter(struct pages *t, enum page_state s)
{
	switch (s) {
	case PAGE_ZERO:
		return &t->zero;
	case PAGE_PRESENT:
		return &t->present;
	case PAGE_POISONED:
		return &t->poisoned;
	default:
		return &t->missing;
	}
}

void pages_settle(struct pages *t, size_t i, enum page_state was,
		  enum page_state now)
{
	t->state[i] = (uint8_t)now;
	atomic_fetch_add(counter(t, now), 1);
	atomic_fetch_sub(counter(t, was), 1);
}

void pages_release(struct pages *t, size_t i, enum page_state was)
{
	t->state[i] = (uint8_t)was;
}

size_t pages_set_zero(struct pages *t, size_t i, size_t n)
{
	size_t done = 0;

	for (; n--; i++)
		done += move(t, i, PAGE_MISSING, PAGE_ZERO);
	atomic_fetch_add(&t->zero, done);
	atomic_fetch_sub(&t->missing, done);
	return done;
}

size_t pages_set_missing(struct pages *t, size_t i, size_t n)
{
	size_t done = 0;

	for (; n--; i++)
		done += move(t, i, PAGE_ZERO, PAGE_MISSING);
	atomic_fetch_add(&t->missing, done);
	atomic_fetch_sub(&t->zero, done);
	return done;
}

bool pages_poison_present(struct pages *t, size_t i)
{
	if (!move(t, i, PAGE_PRESENT, PAGE_POISONED))
		return false;
	atomic_fetch_add(&t->poisoned, 1);
	atomic_fetch_sub(&t->present, 1);
	return true;
}
