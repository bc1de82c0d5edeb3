/* SPDX-License-Identifier: MIT */
/* priority.h - Who goes first where threads share a core */
#ifndef FERRY_PRIORITY_H
#define FERRY_PRIORITY_H

/**
 * priority_raise() - This thread resolves faults: a vCPU waits for it
 *
 * A runnable thread that waits for a core waits a scheduler tick, some 4 ms;
 * one that is scheduled first does not. SCHED_FIFO needs CAP_SYS_NICE, a negative nice
 * value that or RLIMIT_NICE: takes what is to be had, and goes on without.
 */
void priority_raise(void);

/**
 * priority_bulk() - This thread moves pages that nobody waits for yet
 *
 * It keeps its share of the processor, but takes it in long slices that
 * whoever wakes up may interrupt: a vCPU, or the kernel worker that fetches its page, then
 * doesn't wait for a scheduler tick. Needs no privilege; kernels before 6.12
 * know only the half of it (SCHED_BATCH).
 */
void priority_bulk(void);

#endif /* FERRY_PRIORITY_H */
