/* SPDX-License-Identifier: MIT */
/*
 * gate.h - Stop the vCPU threads and let them run (private)
 *
 * Each vCPU thread passes the gate before it enters the guest (vcpu.c). These
 * functions change the gate and wait for the threads; they do not
 * depend on the run status.
 */
#ifndef FERRY_GATE_H
#define FERRY_GATE_H

#include <stdbool.h>
#include <time.h>

/* A vCPU leaves the guest in microseconds. One that waits for a page from a
 * slow peer may take as long as that page
 */
#define GATE_DEADLINE_MS	5000
#define GATE_END_MS		1000	/* of gate_end() */

struct machine;

/** gate_deadline() - A point in time for pthread_cond_timedwait() on m->changed */
struct timespec gate_deadline(unsigned ms);

/** gate_close() - Have all vCPUs park soon; does not wait for them */
void gate_close(struct machine *m);

/**
 * gate_park() - Have all vCPUs park, and wait for them
 * @m:		the machine
 *
 * Kicks each vCPU again every 10 ms, since a kick has no effect on a thread
 * that has just passed the gate.
 *
 * Return: true, or false after GATE_DEADLINE_MS
 */
bool gate_park(struct machine *m);

/**
 * gate_wait() - As gate_park(), for a gate that is closed already
 *
 * Return: also false as soon as the gate is at GATE_END
 */
bool gate_wait(struct machine *m);

/**
 * gate_reopen() - Open the gate if the machine's status is RUNNING
 * @m:		the machine, with lock held
 *
 * A machine that waits for a reset, or is being reset, stays parked.
 */
void gate_reopen(struct machine *m);

/**
 * gate_end() - End the vCPU threads
 * @m:		the machine
 *
 * Waits at most a second until no thread is in KVM_RUN.
 */
void gate_end(struct machine *m);

#endif /* FERRY_GATE_H */
