/* SPDX-License-Identifier: MIT */
/*
 * clock.h - Time by the TSC
 */
#ifndef GUEST_USER_CLOCK_H
#define GUEST_USER_CLOCK_H

#include <stdint.h>

extern uint64_t ticks_per_ms;	/* of the TSC */

static inline uint64_t tsc(void)
{
	uint32_t lo, hi;

	asm volatile("rdtsc" : "=a" (lo), "=d" (hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/**
 * tsc_after() - TSC once all earlier loads are complete
 */
static inline uint64_t tsc_after(void)
{
	asm volatile("lfence" : : : "memory");
	return tsc();
}

/**
 * clock_init() - Determine the TSC's frequency; clock_now_us() starts at 0
 *
 * Return: 0, -1 when no source gives the frequency
 */
int clock_init(void);

/**
 * clock_us() - Ticks of the TSC to microseconds
 * @ticks:	difference of two readings; a negative one counts as 0
 */
uint64_t clock_us(uint64_t ticks);

/**
 * clock_ticks() - Microseconds to ticks of the TSC
 * @us:		microseconds
 */
uint64_t clock_ticks(uint64_t us);

/**
 * clock_now_us() - Microseconds since clock_init()
 */
uint64_t clock_now_us(void);

#endif
