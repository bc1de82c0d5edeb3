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

int page_source_batch(const struct page_source *p, struct batch *b)
{
	return batch_init(b, p->ram, p->lost, p->ctx);
}

void page_source_sent(struct page_source *p, const struct batch *b,
		      enum page_count kind)
{
	struct page_stats *st = p->stats;

	st->bytes += b->bytes;
	if (kind == PAGE_COUNTS)
		return;
	st->pages[kind] += b->data_pages;
	st->pages[COUNT_ZERO] += b->zero_pages;
	st->pages[COUNT_POISON] += b->lost_pages;
}

void page_source_throttle(struct page_source *p)
{
	uint64_t ns;

	while (!p->stop && (ns = pacer_wait_ns(&p->pacer, now_ns())))
		usleep((useconds_t)((ns < NAP_MAX_NS ? ns : NAP_MAX_NS) /
				    1000) + 1);
}
