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

#endif /* FERRY_PRIORITY_H */
