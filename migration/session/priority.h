/* SPDX-License-Identifier: MIT */
/* priority.h - Scheduling policy of the migration threads */
#ifndef FERRY_PRIORITY_H
#define FERRY_PRIORITY_H

/**
 * priority_raise() - The calling thread resolves faults: a vCPU waits for it
 *
 * A runnable thread that waits for a core waits a scheduler tick, some 4 ms;
 * one of higher priority does not. Sets SCHED_FIFO, which needs CAP_SYS_NICE;
 * without it a nice value of -20, which needs that or RLIMIT_NICE; without
 * either the thread stays at normal priority.
 */
void priority_raise(void);

/**
 * priority_bulk() - The calling thread moves pages that no vCPU waits for
 *
 * The thread keeps its share of the processor, but in long slices that a
 * thread that wakes up may interrupt: a vCPU, or the kernel worker that
 * fetches its page, then does not wait for a scheduler tick. Needs no
 * privilege. Kernels before 6.12 take the policy (SCHED_BATCH), not the slice.
 */
void priority_bulk(void);

#endif /* FERRY_PRIORITY_H */
