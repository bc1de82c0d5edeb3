/* SPDX-License-Identifier: MIT */
/*
 * record.h - What the guest experienced since the mark, in memory
 *
 * A benchmark reads it by the VMM's pmemsave: printing it would take seconds.
 */
#ifndef GUEST_USER_RECORD_H
#define GUEST_USER_RECORD_H

#include <stdint.h>

#define RECORD_MS	16384
#define RECORD_GAPS	8192

/**
 * struct record - Read by tests/bench/experience.py
 * @ms:		number of elements of @visits
 * @gaps_max:	number of elements of @gap
 * @gaps:	gaps seen; those after @gaps_max are not in @gap
 * @visits:	pages visited in each millisecond since the mark, all vCPUs
 * @gap:	times of at least 100 µs in which vCPU 0 made no progress: its end,
 *		µs since the mark, and length, µs
 */
struct record {
	uint32_t ms, gaps_max, gaps;
	uint32_t visits[RECORD_MS];
	struct {
		uint32_t end_us, us;
	} gap[RECORD_GAPS];
};

extern struct record record;

/**
 * record_start() - Empty the record: this is the mark
 * @now:	TSC
 */
void record_start(uint64_t now);

/**
 * record_now_us() - Microseconds since the mark
 */
uint64_t record_now_us(void);

/**
 * record_visits() - Count pages that a vCPU has visited
 * @n:		number, added to the current millisecond
 */
void record_visits(uint64_t n);

/**
 * record_gap() - Enter a gap of vCPU 0 that has just ended, if it is long
 * @now:	TSC
 * @ticks:	length, TSC
 */
void record_gap(uint64_t now, uint64_t ticks);

#endif
