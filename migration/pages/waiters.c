// SPDX-License-Identifier: MIT
/* waiters.c - vCPUs that wait for pages, and since when */

#include <stdlib.h>

#include "race_point.h"
#include "vmm/base/clock.h"
#include "waiters.h"

/* A key: page, 32 bits; vCPU, 8 bits; serial number, 24 bits and never 0 */
static uint64_t key_make(size_t page, unsigned vcpu, uint32_t serial)
{
	return (uint64_t)page << 32 | (uint64_t)vcpu << 24 | serial;
}

static size_t key_page(uint64_t key)
{
	return key >> 32;
}

static unsigned key_vcpu(uint64_t key)
{
	return key >> 24 & 0xff;
}

static uint32_t serial_next(struct waiters *w)
{
	w->serial = (w->serial + 1) & 0xffffff;
	if (!w->serial)
		w->serial = 1;
	return w->serial;
}

void waiters_add(struct waiters *w, size_t page, unsigned vcpu, uint64_t now)
{
	unsigned top = w->top, slot = WAITERS_MAX;

	for (unsigned i = top; i--; ) {
		uint64_t key = w->slot[i].key;

		if (!key)
			slot = i;
		else if (key_page(key) == page && key_vcpu(key) == vcpu &&
			 vcpu != PAGE_STATS_OTHER)
			return;
	}
	if (slot == WAITERS_MAX)
		slot = top;
	if (slot == WAITERS_MAX)
		return;
	if (slot == top)
		w->top = top + 1;
	w->slot[slot].since = now;
	w->n++;
	w->slot[slot].key = key_make(page, vcpu, serial_next(w));
}

bool waiters_has(const struct waiters *w, unsigned vcpu)
{
	for (unsigned i = 0; i < w->top; i++) {
		uint64_t key = w->slot[i].key;

		if (key && key_vcpu(key) == vcpu)
			return true;
	}
	return false;
}

void waiters_name(struct waiters *w, size_t page, unsigned vcpu)
{
	for (unsigned i = 0; i < w->top; i++) {
		uint64_t key = w->slot[i].key;

		if (!key || key_page(key) != page ||
		    key_vcpu(key) != PAGE_STATS_OTHER)
			continue;
		/* A bulk thread may have removed it meanwhile */
		atomic_compare_exchange_strong(&w->slot[i].key, &key,
			key_make(page, vcpu, key & 0xffffff));
		return;
	}
}

static void waiter_end(struct waiters *w, struct waiter *s, uint64_t key,
		       uint64_t now)
{
	const uint32_t serial = key & 0xffffff;
	uint64_t since = s->since;
	unsigned vcpu;

	RACE_POINT(waiter_ends);
	/* The fault thread may name the entry at the same moment: same serial */
	while (!atomic_compare_exchange_weak(&s->key, &key, 0))
		if ((key & 0xffffff) != serial)
			return;
	vcpu = key_vcpu(key);
	w->n--;
	since = now > since ? now - since : 0;
	histogram_add(&w->stats->demand, since);
	histogram_add(&w->stats->vcpu[vcpu], since);
}

void waiters_done(struct waiters *w, size_t page, size_t n)
{
	uint64_t now = 0;

	if (!w->n || !n)
		return;
	for (unsigned i = 0; i < w->top; i++) {
		uint64_t key = w->slot[i].key;

		if (!key || key_page(key) < page || key_page(key) - page >= n)
			continue;
		now = now ? now : now_ns();
		waiter_end(w, &w->slot[i], key, now);
	}
}

uint64_t waiters_oldest(const struct waiters *w)
{
	uint64_t oldest = 0;

	for (unsigned i = 0; i < w->top; i++) {
		uint64_t since = w->slot[i].since;

		if (w->slot[i].key && (!oldest || since < oldest))
			oldest = since;
	}
	return oldest;
}

static int compare_since(const void *a, const void *b)
{
	const struct waiting_page *x = a, *y = b;

	return x->since < y->since ? -1 : x->since > y->since;
}

unsigned waiters_pages(const struct waiters *w, struct waiting_page *out)
{
	unsigned n = 0, pages = 0;

	for (unsigned i = 0; i < w->top; i++) {
		uint64_t since = w->slot[i].since, key = w->slot[i].key;

		if (key)
			out[n++] = (struct waiting_page){ key_page(key), since };
	}
	if (n > 1)
		qsort(out, n, sizeof(*out), compare_since);
	/* Of several waits for one page the first stays */
	for (unsigned i = 0, k; i < n; i++) {
		for (k = 0; k < pages && out[k].page != out[i].page; k++)
			;
		if (k == pages)
			out[pages++] = out[i];
	}
	return pages;
}
