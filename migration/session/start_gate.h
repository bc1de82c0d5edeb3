/* SPDX-License-Identifier: MIT */
/*
 * start_gate.h - Threads that are created early and start later
 *
 * After the point of no return a thread that can't be created strands the
 * guest. So bulk threads are created before, and wait here. Not for the fault
 * path: a mutex.
 */
#ifndef FERRY_START_GATE_H
#define FERRY_START_GATE_H

#include <pthread.h>
#include <stdbool.h>

enum start_state { START_WAIT, START_GO, START_QUIT };

struct start_gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum start_state state;
};

/** start_gate_init() - A closed gate */
void start_gate_init(struct start_gate *g);

/** start_gate_fini() - Free it; no thread waits any more */
void start_gate_fini(struct start_gate *g);

/** start_gate_set() - Start the waiting threads, end them, or close the gate */
void start_gate_set(struct start_gate *g, enum start_state state);

/** start_gate_wait() - Wait. Return: true to go, false to quit */
bool start_gate_wait(struct start_gate *g);

#endif /* FERRY_START_GATE_H */
