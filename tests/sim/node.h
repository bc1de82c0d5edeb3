/* SPDX-License-Identifier: MIT */
/*
 * node.h - One side: a process with its main thread
 *
 * The main thread starts a migration, or listens for one, and executes the
 * commands of its operator one after the other, as migration.c does. A process
 * can be killed: its threads, memory and descriptors are gone then.
 */
#ifndef FERRY_TESTS_SIM_NODE_H
#define FERRY_TESTS_SIM_NODE_H

#include <stdbool.h>

#include "plan.h"
#include "sched.h"

#define NO_PHASE	(~0u)

/** nodes_begin() - Two processes that are not there yet */
void nodes_begin(void);

/** node_start() - Start the process of a side: a guest, or a listener */
void node_start(enum side side);

/** node_migrate() - The source shall begin to migrate; it has a guest */
void node_migrate(void);

/** node_command() - An operator's command, or the end of the process */
void node_command(enum side side, enum command command);

/** node_reset_asked() - A machine of this side may be reset now */
void node_reset_asked(enum side side);

/**
 * node_take_source() - The destination's process becomes the source
 *
 * The former source has ended; the next destination is a new process.
 */
void node_take_source(void);

/** node_is_alive() - Is there a process, which is not about to end? */
bool node_is_alive(enum side side);

/** node_has_ended() - Was it started, and is it gone with all its threads? */
bool node_has_ended(enum side side);

/** node_was_killed() - Has it crashed, and was not started again? */
bool node_was_killed(enum side side);

/** node_is_idle() - Does its main thread wait for a command? */
bool node_is_idle(enum side side);

/** node_phase() - The phase of its session; NO_PHASE if it has none */
unsigned node_phase(enum side side);

/** node_asks_operator() - A source that does nothing by itself any more */
bool node_asks_operator(enum side side);

/** node_phase_name() - The same for the trace */
const char *node_phase_name(enum side side);

/** node_may_run() - Does the phase of the side allow vCPUs to run there? */
bool node_may_run(enum side side);

/** node_machine() - Its machine, or NULL */
struct machine *node_machine(enum side side);

/** node_check() - Rules that hold at each moment; sees changes of phases */
void node_check(void);

/** node_check_counters() - What must hold when no thread changes pages */
void node_check_counters(void);

#endif /* FERRY_TESTS_SIM_NODE_H */
