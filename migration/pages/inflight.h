/* SPDX-License-Identifier: MIT */
/*
 * inflight.h - Who waits for which page, and since when
 *
 * What the pager asks for is noted here; whoever places the page, the pager
 * or the receiver, ends the note and counts the latency.
 */
#ifndef FERRY_INFLIGHT_H
#define FERRY_INFLIGHT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "page_stats.h"



/* vCPUs that can wait at once, and kernel workers on their behalf */
#define INFLIGHT_MAX	256

/**
 * struct inflight - A page that somebody waits for
 * @page:	which
 * @since:	when its fault was read, ns
 * @vcpu:	whose, or PAGE_STATS_OTHER
 */
struct inflight {
	size_t page;
	uint64_t since;
	unsigned vcpu;
};

/**
 * struct inflight_table - All of them
 * @stats:	counts latencies
 * @lock:	protects @entry
 */
struct inflight_table {
	struct page_stats *stats;
	pthread_mutex_t lock;
	struct inflight entry[INFLIGHT_MAX];
	_Atomic unsigned n;
};

/** inflight_add() - Somebody waits for a page; what doesn't fit isn't counted */
void inflight_add(struct inflight_table *t, size_t page, unsigned vcpu);

/** inflight_has() - Is that vCPU known to wait for a page? */
bool inflight_has(struct inflight_table *t, unsigned vcpu);

/**
 * inflight_name() - Say whose wait it is
 * @t:		the table
 * @page:	which; its first entry without a vCPU is meant
 * @vcpu:	whose
 */
void inflight_name(struct inflight_table *t, size_t page, unsigned vcpu);

/** inflight_done() - Pages are in place: whoever waited has waited this long */
void inflight_done(struct inflight_table *t, size_t page, size_t n);

/** inflight_oldest() - When the longest wait began, ns; 0 if nobody waits */
uint64_t inflight_oldest(struct inflight_table *t);

#endif /* FERRY_INFLIGHT_H */
