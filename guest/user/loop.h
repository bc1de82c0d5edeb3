/* SPDX-License-Identifier: MIT */
/*
 * loop.h - The loop that every vCPU runs, and what commands may ask of it
 */
#ifndef GUEST_USER_LOOP_H
#define GUEST_USER_LOOP_H

#include "../cpu.h"

/**
 * loop_run() - All that a vCPU does once it is up
 * @c:		this vCPU
 * @poll:	vCPU 0 calls it on each turn: runs commands, if any arrived
 *
 * A machine check in a visit resumes at the top of the loop (worker.h).
 */
void loop_run(struct cpu *c, void (*poll)(struct cpu *c))
	__attribute__((noreturn));

/**
 * loop_go() - End the hold; before the vCPUs start, or by command
 */
void loop_go(void);

/**
 * loop_sweep() - Request a sweep of all vCPUs; prints "sweep" when it is done
 *
 * Return: false when the workload can't be swept
 */
bool loop_sweep(void);

#endif
