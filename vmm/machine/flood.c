// SPDX-License-Identifier: MIT
/* flood.c - Limit how often a guest's actions are reported */

#include "flood.h"

/* One report less each interval */
static void reduce(struct flood *f, uint64_t now_ms)
{
	const uint64_t n = (now_ms - f->since) / FLOOD_INTERVAL_MS;

	f->used = n < f->used ? f->used - (unsigned)n : 0;
	f->since = f->used ? f->since + n * FLOOD_INTERVAL_MS : now_ms;
}

bool flood_pass(struct flood *f, uint64_t now_ms)
{
	reduce(f, now_ms);
	if (f->used >= FLOOD_BURST) {
		f->held++;
		return false;
	}
	f->used++;
	return true;
}
