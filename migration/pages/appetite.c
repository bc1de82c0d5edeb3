// SPDX-License-Identifier: MIT
/* appetite.c - How many pages shall follow the answer to a request */

#include "appetite.h"
#include "migration/wire/wire.h"
#include "page_run.h"

enum appetite_level appetite_step(enum appetite_level level, bool ran,
				  uint64_t idle, uint64_t window)
{
	if (!ran || idle * 100 >= window * APPETITE_IDLE)
		return APPETITE_PAGE;
	if (idle * 100 > window * APPETITE_BUSY || level == APPETITE_BLOCK)
		return level;
	return level + 1;
}

bool appetite_due(const struct appetite *a, uint64_t now)
{
	return now - a->since >= APPETITE_WINDOW_NS;
}

void appetite_measure(struct appetite *a, unsigned vcpu, uint64_t idle,
		      uint64_t exits, bool waits, uint64_t now)
{
	struct appetite_vcpu *v = &a->vcpu[vcpu];

	/* The first window begins now */
	if (a->since && idle != UINT64_MAX && !(waits && exits == v->exits))
		v->level = appetite_step(v->level, exits != v->exits,
					 idle - v->idle, now - a->since);
	v->idle = idle;
	v->exits = exits;
}

void appetite_next(struct appetite *a, unsigned vcpus, uint64_t now)
{
	enum appetite_level *most = &a->vcpu[PAGE_STATS_OTHER].level;

	if (!appetite_due(a, now))
		return;
	a->since = now;
	*most = APPETITE_PAGE;
	for (unsigned i = 0; i < vcpus; i++)
		if (a->vcpu[i].level > *most)
			*most = a->vcpu[i].level;
}

struct around appetite_around(struct appetite *a, size_t page, unsigned vcpu)
{
	static const size_t unit[] = {
		[APPETITE_PAGE] = 1, [APPETITE_RUN] = WIRE_RUN_PAGES,
		[APPETITE_BLOCK] = CHUNK_PAGES,
	};
	const size_t n = unit[a->vcpu[vcpu].level], before = page % n;
	const size_t walk = readahead_pages(&a->walks, page);

	return (struct around){
		.before = (uint16_t)before,
		.after = (uint16_t)(n - 1 - before > walk ? n - 1 - before
							  : walk),
	};
}
