/* SPDX-License-Identifier: MIT */
/* page_stats.h - Statistics of the pages of one migration (pure) */
#ifndef FERRY_PAGE_STATS_H
#define FERRY_PAGE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include "histogram.h"

/* vCPUs with a histogram of their own */
#define PAGE_STATS_VCPUS	64
/* Index of the histogram of faults whose vCPU is not known */
#define PAGE_STATS_OTHER	PAGE_STATS_VCPUS

/* How a page was transferred */
enum page_count {
	COUNT_DEMAND,	/* contents, because a vCPU waited */
	COUNT_PUSH,	/* contents, unasked */
	COUNT_ZERO,
	COUNT_POISON,
	PAGE_COUNTS
};

/**
 * struct page_stats - Counters, written by several threads
 * @pages:	by enum page_count: sent by a source, placed by a destination
 * @bytes:	sent or received, with headers
 * @bytes_of:	of them those of pages, by COUNT_DEMAND and COUNT_PUSH
 * @requests:	pages requested
 * @duplicates:	pages received that were in place already
 * @again:	pages that a source has counted as sent, and will send again: a
 *		connection was lost before they arrived. The sum of @pages less
 *		this is the number of pages that are sent
 * @blocks:	blocks of 2 MiB that a destination has placed as one huge page
 * @refused:	poison received for pages that were in place already
 * @demand:	latency from a fault's report to the page's placing, all vCPUs
 * @vcpu:	the same for each vCPU, and PAGE_STATS_OTHER
 */
struct page_stats {
	_Atomic uint64_t pages[PAGE_COUNTS];
	_Atomic uint64_t bytes_of[COUNT_PUSH + 1];
	_Atomic uint64_t bytes, requests, duplicates, again, blocks, refused;
	struct histogram demand, vcpu[PAGE_STATS_VCPUS + 1];
};

/** page_stats_clear() - Set all to 0; no thread may count meanwhile */
void page_stats_clear(struct page_stats *s);

#endif /* FERRY_PAGE_STATS_H */
