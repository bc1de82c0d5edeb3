// SPDX-License-Identifier: MIT
/* pacer.c - Keeps a bandwidth limit over several threads */

#include "pacer.h"

void pacer_set_limit(struct pacer *p, uint64_t limit)
{
	if (p->limit == limit)
		return;
	p->limit = limit;
	p->paid = 0;
}

uint64_t pacer_wait_ns(const struct pacer *p, uint64_t now)
{
	uint64_t paid = p->paid;

	return p->limit && paid > now ? paid - now : 0;
}

void pacer_spend(struct pacer *p, uint64_t now, uint64_t bytes)
{
	uint64_t limit = p->limit, paid = p->paid, from;

	if (!limit)
		return;
	do
		from = paid + PACER_BURST_NS < now ? now - PACER_BURST_NS
						   : paid;
	while (!atomic_compare_exchange_weak(&p->paid, &paid,
		from + (uint64_t)((double)bytes * 1e9 / (double)limit)));
}
