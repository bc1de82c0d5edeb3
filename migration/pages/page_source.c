// SPDX-License-Identifier: MIT
/* page_source.c - A source's RAM while its pages are sent */

#include <unistd.h>

#include "page_source.h"
#include "vmm/base/clock.h"

#define NAP_MAX_NS	10000000	/* a new limit is noticed after this */

int page_source_init(struct page_source *p, const struct ram *ram,
		     struct page_stats *stats, batch_lost_fn *lost, void *ctx)
{
	*p = (struct page_source){
		.ram = ram, .stats = stats, .lost = lost, .ctx = ctx,
	};
	return ledger_init(&p->ledger, ram->size / WIRE_PAGE);
}

void page_source_fini(struct page_source *p)
{
	ledger_fini(&p->ledger);
}

bool page_source_show(const struct page_source *p, size_t page, size_t n,
		      uint8_t *to)
{
	if (page + n > p->ledger.n)
		return false;
	ledger_show(&p->ledger, page, n, to);
	return true;
}

int page_source_batch(const struct page_source *p, struct batch *b)
{
	return batch_init(b, p->ram, p->lost, p->ctx);
}

void page_source_sent(struct page_source *p, const struct batch *b,
		      enum page_count kind)
{
	struct page_stats *st = p->stats;

	st->bytes += b->bytes;
	st->bytes_of[kind == COUNT_PUSH ? COUNT_PUSH : COUNT_DEMAND] +=
		b->bytes;
	if (kind == PAGE_COUNTS)
		return;
	st->pages[kind] += b->data_pages;
	st->pages[COUNT_ZERO] += b->zero_pages;
	st->pages[COUNT_POISON] += b->lost_pages;
}

void page_source_passed(struct page_source *p, const struct batch *b,
			bool first)
{
	struct page_stats *st = p->stats;

	st->bytes += b->bytes;
	st->bytes_of[COUNT_PUSH] += b->bytes;
	if (!first)
		return;
	st->pages[COUNT_PUSH] += b->data_pages;
	st->pages[COUNT_ZERO] += b->zero_pages;
}

void page_source_discarded(struct page_source *p, size_t page, size_t n)
{
	p->stats->again += ledger_give_back(&p->ledger, page, n);
}

void page_source_throttle(struct page_source *p, const struct pacer *pacer)
{
	uint64_t ns;

	while (!p->stop && (ns = pacer_wait_ns(pacer, now_ns())))
		usleep((useconds_t)((ns < NAP_MAX_NS ? ns : NAP_MAX_NS) /
				    1000) + 1);
}

void page_source_lost(struct page_source *p, struct unacked *u)
{
	p->stats->again += unacked_give_back(u, &p->ledger);
}

/*
 * What the destination has and this side has not sent: poison made on purpose
 * there. A peer that reports more than it can have gets what it reports.
 */
void page_source_rebuilt(struct page_source *p, const struct ledger_rebuild *r)
{
	static const enum page_count counted[PAGE_HAVES] = {
		[HAVE_PRESENT]	= COUNT_PUSH,
		[HAVE_ZERO]	= COUNT_ZERO,
		[HAVE_POISONED]	= COUNT_POISON,
		[HAVE_STAGED]	= COUNT_PUSH,
	};

	for (unsigned i = HAVE_PRESENT; i < PAGE_HAVES; i++)
		p->stats->pages[counted[i]] += r->added[i];
	p->stats->again += r->removed;
	cursor_restart(&p->cursor);
	p->asked = 0;
	p->stop = false;
}
