// SPDX-License-Identifier: MIT
/* answer_size.c - How many pages shall follow the answer to a request */

#include "answer_size.h"
#include "migration/wire/wire.h"
#include "page_run.h"

enum answer_level answer_size_step(enum answer_level level, bool ran,
				  uint64_t idle, uint64_t window)
{
	if (!ran || idle * 100 >= window * ANSWER_IDLE)
		return ANSWER_PAGE;
	if (idle * 100 > window * ANSWER_BUSY || level == ANSWER_BLOCK)
		return level;
	return level + 1;
}

bool answer_size_due(const struct answer_size *a, uint64_t now)
{
	return now - a->since >= ANSWER_WINDOW_NS;
}

void answer_size_measure(struct answer_size *a, unsigned vcpu, uint64_t idle,
		      uint64_t exits, bool waits, uint64_t now)
{
	struct answer_vcpu *v = &a->vcpu[vcpu];

	/* The first window begins now */
	if (a->since && idle != UINT64_MAX && !(waits && exits == v->exits))
		v->level = answer_size_step(v->level, exits != v->exits,
					 idle - v->idle, now - a->since);
	v->idle = idle;
	v->exits = exits;
}

void answer_size_next(struct answer_size *a, unsigned vcpus, uint64_t now)
{
	enum answer_level *most = &a->vcpu[PAGE_STATS_OTHER].level;

	if (!answer_size_due(a, now))
		return;
	a->since = now;
	*most = ANSWER_PAGE;
	for (unsigned i = 0; i < vcpus; i++)
		if (a->vcpu[i].level > *most)
			*most = a->vcpu[i].level;
}

struct around answer_size_around(struct answer_size *a, size_t page, unsigned vcpu)
{
	static const size_t unit[] = {
		[ANSWER_PAGE] = 1, [ANSWER_RUN] = WIRE_RUN_PAGES,
		[ANSWER_BLOCK] = CHUNK_PAGES,
	};
	const size_t n = unit[a->vcpu[vcpu].level], before = page % n;
	const size_t walk = readahead_pages(&a->walks, page);

	return (struct around){
		.before = (uint16_t)before,
		.after = (uint16_t)(n - 1 - before > walk ? n - 1 - before
							  : walk),
	};
}
