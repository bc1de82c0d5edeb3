// SPDX-License-Identifier: MIT
/*
 * record.c - What the guest experienced since the mark, in memory
 */
#include "../line.h"
#include "clock.h"
#include "record.h"

#define RECORD_GAP_US	100

struct record record = { .ms = RECORD_MS, .gaps_max = RECORD_GAPS };
static uint64_t record_mark;		/* TSC */

void record_start(uint64_t now)
{
	record_mark = now;
	record.gaps = 0;
	memset(record.visits, 0, sizeof(record.visits));
}

uint64_t record_now_us(void)
{
	return clock_us(tsc() - record_mark);
}

void record_visits(uint64_t n)
{
	uint64_t at;

	if (!n)
		return;
	at = (tsc() - record_mark) / ticks_per_ms;
	if (at < RECORD_MS)
		__atomic_add_fetch(&record.visits[at], n, __ATOMIC_RELAXED);
}

void record_gap(uint64_t now, uint64_t ticks)
{
	uint64_t us = clock_us(ticks);

	if (us < RECORD_GAP_US)
		return;
	if (record.gaps < RECORD_GAPS) {
		record.gap[record.gaps].end_us = clock_us(now - record_mark);
		record.gap[record.gaps].us = us;
	}
	record.gaps++;
}
