// SPDX-License-Identifier: MIT
/*
 * gap.c - The longest time in which vCPU 0 makes no progress
 */
#include "clock.h"
#include "gap.h"
#include "record.h"

static uint64_t gap_last;			/* TSC of the last progress */
static uint64_t gap_max, gap_mark_max;		/* TSC ticks */

void gap_start(uint64_t now)
{
	gap_last = now;
	gap_max = gap_mark_max = 0;
	record_start(now);
}

void gap_skip(uint64_t now)
{
	gap_last = now;
}

void gap_tick(uint64_t now)
{
	uint64_t gap = now - gap_last;

	if ((int64_t)gap < 0)
		return;
	gap_last = now;
	record_gap(now, gap);
	if (gap > gap_max)
		gap_max = gap;
	if (gap > gap_mark_max)
		gap_mark_max = gap;
}

void gap_report(struct line *l)
{
	line_dec(l, "gap_max_us", clock_us(gap_max));
	line_dec(l, "gap_mark_max_us", clock_us(gap_mark_max));
	gap_max = 0;
}
