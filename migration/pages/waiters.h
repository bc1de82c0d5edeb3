/* SPDX-License-Identifier: MIT */
/*
 * waiters.h - vCPUs that wait for pages, and since when (pure)
 *
 * The fault thread alone adds entries. The thread that places a page, the
 * fault thread or a bulk thread, removes the page's entries and counts their
 * latency. No lock: the fault thread must not wait for a bulk thread.
 *
 * An entry is one atomic key: page, vCPU, and a number that differs between
 * successive uses of the slot. A thread reads the entry's time, then removes
 * the key it has seen by compare-and-exchange: if that succeeds, the time
 * belongs to that key.
 */
#ifndef FERRY_WAITERS_H
#define FERRY_WAITERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "page_stats.h"

/* vCPUs, and kernel workers that fetch a page for one, at the same time */
#define WAITERS_MAX	256

/**
 * struct waiter - A slot
 * @key:	0 if the slot is free
 * @since:	when the fault was read, ns
 */
struct waiter {
	_Atomic uint64_t key, since;
};

/**
 * struct waiters - The table; zeroed at the start but for @stats
 * @stats:	counts latencies
 * @slot:	the slots
 * @top:	slots from here on were never used
 * @n:		slots in use
 * @serial:	of the last entry; the fault thread's
 */
struct waiters {
	struct page_stats *stats;
	struct waiter slot[WAITERS_MAX];
	_Atomic unsigned top, n;
	uint32_t serial;
};

/**
 * waiters_add() - A vCPU waits for a page; the fault thread only
 * @w:		the table
 * @page:	the page, below 2^32
 * @vcpu:	index, or PAGE_STATS_OTHER
 * @now:	time, ns
 *
 * A vCPU that was kicked out of its wait reports the same fault again: that
 * adds nothing. An entry that does not fit is not counted.
 */
void waiters_add(struct waiters *w, size_t page, unsigned vcpu, uint64_t now);

/** waiters_has() - Is that vCPU known to wait for a page? */
bool waiters_has(const struct waiters *w, unsigned vcpu);

/**
 * waiters_name() - The vCPU of an entry became known; the fault thread only
 * @w:		the table
 * @page:	its first entry with PAGE_STATS_OTHER is meant
 * @vcpu:	index
 */
void waiters_name(struct waiters *w, size_t page, unsigned vcpu);

/**
 * waiters_done() - Pages are in place: count and remove their entries
 * @w:		the table
 * @page:	first page
 * @n:		pages
 */
void waiters_done(struct waiters *w, size_t page, size_t n);

/** waiters_oldest() - When the longest wait began, ns; 0 if there is none */
uint64_t waiters_oldest(const struct waiters *w);

/**
 * struct waiting_page - A page that vCPUs wait for
 * @page:	the page
 * @since:	when the first of its waits began, ns
 */
struct waiting_page {
	size_t page;
	uint64_t since;
};

/**
 * waiters_pages() - The pages that vCPUs wait for, the longest wait first
 * @w:		the table
 * @out:	filled in: WAITERS_MAX elements, each page once
 *
 * Return: how many
 */
unsigned waiters_pages(const struct waiters *w, struct waiting_page *out);

#endif /* FERRY_WAITERS_H */
