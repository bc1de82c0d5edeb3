/* SPDX-License-Identifier: MIT */
/*
 * page_source.h - A source's RAM while its pages are sent
 *
 * What push threads and the demand thread share: which pages were sent, which
 * come next, the bandwidth limit, the statistics. Knows no sockets and no
 * session.
 */
#ifndef FERRY_PAGE_SOURCE_H
#define FERRY_PAGE_SOURCE_H

#include "batch.h"
#include "cursor.h"
#include "ledger.h"
#include "pacer.h"
#include "page_stats.h"
#include "unacked.h"

/**
 * struct page_source - See above
 * @ram:	the RAM, which does not change any more
 * @ledger:	pages sent
 * @cursor:	pages to push next
 * @pacer:	bandwidth limit of all but answers to requests and precopy passes
 * @pass_pacer:	bandwidth limit of precopy passes
 * @stats:	the session's
 * @lost, @ctx:	called for pages that can't be read
 * @asked:	when the last request came, ns
 * @stop:	the connections are gone: threads shall end
 */
struct page_source {
	const struct ram *ram;
	struct ledger ledger;
	struct cursor cursor;
	struct pacer pacer, pass_pacer;
	struct page_stats *stats;
	batch_lost_fn *lost;
	void *ctx;
	_Atomic uint64_t asked;
	_Atomic bool stop;
};

/**
 * page_source_init() - Begin, with no page sent
 * @p:		filled in
 * @ram:	the RAM
 * @stats:	where to count
 * @lost:	called for each page that is poisoned
 * @ctx:	for @lost
 *
 * Return: 0, -ENOMEM
 */
int page_source_init(struct page_source *p, const struct ram *ram,
		     struct page_stats *stats, batch_lost_fn *lost, void *ctx);

/** page_source_fini() - Free it; fine on one that is all zeroes */
void page_source_fini(struct page_source *p);

/**
 * page_source_show() - What query-ferry-pages says about pages
 * @p:		the pages
 * @page:	first page
 * @n:		pages
 * @to:		filled in: enum page_show of each
 *
 * Any thread; takes no lock.
 *
 * Return: false if there are not so many pages: @to is unchanged
 */
bool page_source_show(const struct page_source *p, size_t page, size_t n,
		      uint8_t *to);

/** page_source_batch() - batch_init() for these pages */
int page_source_batch(const struct page_source *p, struct batch *b);

/**
 * page_source_sent() - A batch was sent: count its pages and bytes
 * @p:		the pages
 * @b:		the batch
 * @kind:	COUNT_DEMAND or COUNT_PUSH; PAGE_COUNTS for pages that were
 *		counted when they were sent before
 */
void page_source_sent(struct page_source *p, const struct batch *b,
		      enum page_count kind);

/**
 * page_source_passed() - A batch of a precopy pass was sent: count it
 * @p:		the pages
 * @b:		the batch
 * @first:	its pages were not sent by an earlier pass
 */
void page_source_passed(struct page_source *p, const struct batch *b,
			bool first);

/**
 * page_source_discarded() - Copies at the destination are out of date
 * @p:		the pages
 * @page:	first page
 * @n:		pages, which the destination forgets: they count as not sent
 */
void page_source_discarded(struct page_source *p, size_t page, size_t n);

/**
 * page_source_throttle() - Sleep until a bandwidth limit allows more
 * @p:		the pages
 * @pacer:	the limit
 *
 * For bulk threads; ends early when @stop is set.
 */
void page_source_throttle(struct page_source *p, const struct pacer *pacer);

/**
 * page_source_lost() - A push connection is lost: others send its pages
 * @p:		the pages
 * @u:		what the connection has sent; no thread uses it any more
 */
void page_source_lost(struct page_source *p, struct unacked *u);

/**
 * page_source_rebuilt() - The destination has reported what it has
 * @p:		the pages, which no thread sends
 * @r:		the rebuild of @p->ledger, ended
 *
 * Corrects the statistics, and lets push threads begin again at the first page.
 */
void page_source_rebuilt(struct page_source *p,
			 const struct ledger_rebuild *r);

#endif /* FERRY_PAGE_SOURCE_H */
