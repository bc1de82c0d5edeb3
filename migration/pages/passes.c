// SPDX-License-Identifier: MIT
/* passes.c - Which pages a source's precopy passes send, and how many */

#include <errno.h>
#include <stdlib.h>

#include "migration/wire/wire.h"
#include "passes.h"
#include "vmm/base/bits.h"

int passes_init(struct passes *p, size_t n)
{
	*p = (struct passes){ .n = n, .words = n / BITS + 1 };
	p->due = calloc(p->words, sizeof(*p->due));
	p->sent = calloc(p->words, sizeof(*p->sent));
	if (p->due && p->sent)
		return 0;
	passes_fini(p);
	return -ENOMEM;
}

void passes_fini(struct passes *p)
{
	free(p->due);
	free(p->sent);
	*p = (struct passes){ 0 };
}

size_t passes_due(struct passes *p, const struct ledger *l)
{
	size_t count = 0;

	for (size_t w = 0; w < p->words; w++) {
		if (!p->due[w])
			continue;
		p->due[w] &= p->sent[w] | ~l->word[w];
		if (w == p->n / BITS)
			p->due[w] &= bits_mask(0, p->n % BITS);
		count += (size_t)__builtin_popcountll(p->due[w]);
	}
	return count;
}

size_t passes_stale(const struct passes *p, struct ledger *l)
{
	size_t count = 0;

	for (size_t w = 0; w < p->words; w++) {
		uint64_t stale = p->due[w] & p->sent[w];

		count += (size_t)__builtin_popcountll(stale);
		if (l->shows_dirty)
			ledger_dirty_set(l, w, stale);
	}
	return count;
}

size_t passes_run(const struct passes *p, size_t from, size_t end, size_t *n)
{
	size_t first = bits_next(p->due, from, end), i = first;
	bool sent = first < end && bits_test(p->sent, first);

	while (i < end && i - first < WIRE_RUN_PAGES &&
	       bits_test(p->due, i) && bits_test(p->sent, i) == sent)
		i++;
	*n = i - first;
	return first;
}

bool passes_was_sent(const struct passes *p, size_t page)
{
	return bits_test(p->sent, page);
}

void passes_sent(struct passes *p, size_t page, size_t n)
{
	bits_fill(p->due, page, n, false);
	bits_fill(p->sent, page, n, true);
}

void passes_unsent(struct passes *p, size_t page, bool first)
{
	bits_fill(p->due, page, 1, true);
	if (first)
		bits_fill(p->sent, page, 1, false);
}

void passes_mark(struct passes *p, size_t page, size_t n)
{
	bits_fill(p->due, page, n, true);
}

static bool unit_is_stale(const struct passes *p, size_t unit, size_t i)
{
	uint64_t due = 0, sent = 0;

	if (unit == 1)
		return bits_test(p->due, i) && bits_test(p->sent, i);
	for (size_t w = i / BITS; w < (i + unit) / BITS && w < p->words;
	     w++) {
		due |= p->due[w];
		sent |= p->sent[w];
	}
	return due && sent;
}

/* Words in which no page is due, or none was sent, are not looked into */
static size_t words_skip(const struct passes *p, size_t i)
{
	if (p->due[i / BITS] & p->sent[i / BITS] & bits_mask(i % BITS, BITS))
		return i;
	i = (i / BITS + 1) * BITS;
	while (i < p->n && !(p->due[i / BITS] & p->sent[i / BITS]))
		i += BITS;
	return i;
}

size_t passes_discard(const struct passes *p, size_t unit, size_t from,
		      size_t *n)
{
	size_t first = from, i;

	while (first < p->n) {
		if (unit == 1)
			first = words_skip(p, first);
		first = bits_next(p->due, first, p->n);
		first -= first < p->n ? first % unit : 0;
		if (first >= p->n || unit_is_stale(p, unit, first))
			break;
		first += unit;
	}
	if (first > p->n)
		first = p->n;
	for (i = first; i < p->n && unit_is_stale(p, unit, i); i += unit)
		;
	*n = (i < p->n ? i : p->n) - first;
	return first;
}

uint64_t passes_ns(const struct pass_record *r)
{
	return r->sent ? (uint64_t)((double)r->ns / (double)r->sent *
				    (double)r->due) : 0;
}

bool passes_again(const struct pass_record *r, uint64_t limit_ns)
{
	if (!r->done)
		return true;
	if (!r->due || r->done >= PASSES_MAX)
		return false;
	if (r->limit != PASSES_AUTO)
		return r->done < r->limit;
	return passes_ns(r) > limit_ns && r->due < r->sent - r->sent / 4;
}
