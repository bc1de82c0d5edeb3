/* SPDX-License-Identifier: MIT */
/*
 * stall.h - How long single accesses to memory take
 */
#ifndef GUEST_USER_STALL_H
#define GUEST_USER_STALL_H

#include "../cpu.h"
#include "clock.h"

extern uint64_t stall_threshold;	/* TSC ticks */

/**
 * stall_init() - From now on, accesses are counted
 */
void stall_init(void);

/**
 * stall_count() - Count one access
 * @c:		this vCPU
 * @ticks:	how long it took, TSC
 */
void stall_count(struct cpu *c, uint64_t ticks);

/**
 * stall_sync() - Clear this vCPU's fine histogram if a mark was set
 * @c:		this vCPU
 */
void stall_sync(struct cpu *c);

/**
 * stall_mark() - Clear the fine histogram, on every vCPU
 */
void stall_mark(void);

/**
 * stall_report() - Append the stalls of all vCPUs; starts a new interval
 * @l:		report line
 */
void stall_report(struct line *l);

/**
 * stall_fine() - Append the fine histogram of all vCPUs since the mark
 * @l:		line
 *
 * Pairs of a bucket's middle (us) and its count, the longest first: when the
 * line is full, the shortest are missing.
 */
void stall_fine(struct line *l);

/**
 * timed_read() - Read a word; count the access if it is a stall
 * @c:		this vCPU
 * @p:		word
 */
static inline uint64_t timed_read(struct cpu *c, const volatile uint64_t *p)
{
	uint64_t start = tsc_after(), v = *p, took = tsc_after() - start;

	if (took >= stall_threshold)
		stall_count(c, took);
	return v;
}

/**
 * timed_write() - Write a word; count the access if it is a stall
 * @c:		this vCPU
 * @p:		word
 * @v:		value
 */
static inline void timed_write(struct cpu *c, volatile uint64_t *p, uint64_t v)
{
	uint64_t start = tsc(), took;

	*p = v;
	asm volatile("mfence" : : : "memory");
	took = tsc() - start;
	if (took >= stall_threshold)
		stall_count(c, took);
}

#endif
