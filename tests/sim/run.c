// SPDX-License-Identifier: MIT
/*
 * run.c - One run of the simulator, from the start to a state it may end in
 *
 * A director, a coroutine of no side, starts both processes and the migration,
 * waits until both sessions are in a phase that lasts, and compares that with
 * what is allowed. Where the guest is still on the source it may be migrated
 * once more, without faults: that must succeed. At the end both processes quit,
 * and nothing of them may be left.
 */

#include <stdio.h>
#include <string.h>

#include "files.h"
#include "guest.h"
#include "memory.h"
#include "migration/session/phase.h"
#include "node.h"
#include "plan.h"
#include "run.h"
#include "tests/fake/fake_ram.h"

#define LOOK_NS		(10 * MS)
#define LASTS_NS	(700 * MS)	/* REFUSE may need half a second */
#define END_NS		(900 * SECOND)

static char summary[200];

const char *run_summary(void)
{
	return summary;
}

static void nap(uint64_t ns)
{
	sched_wait(NULL, "the director's sleep", sched_now() + ns);
}

/* ---- Phases that last ---- */

static bool source_lasts(void)
{
	switch (node_phase(SIDE_SOURCE)) {
	case SOURCE_COMPLETED:
	case SOURCE_DOUBT:
	case SOURCE_LOST:
	case SOURCE_FAILED:
	case SOURCE_CANCELLED:
	case SOURCE_ABANDONED:
	case SOURCE_ENDED:
	case NO_PHASE:
		return true;
	default:
		return false;
	}
}

static bool target_lasts(void)
{
	switch (node_phase(SIDE_TARGET)) {
	case TARGET_LISTENING:
	case TARGET_COMPLETED:
	case TARGET_UNCONFIRMED:
	case TARGET_DOUBT:
	case TARGET_LOST:
	case TARGET_ENDED:
	case NO_PHASE:
		return true;
	default:
		return false;
	}
}

static bool both_last(void)
{
	return source_lasts() && target_lasts() &&
	       (node_is_idle(SIDE_SOURCE) || !node_is_alive(SIDE_SOURCE)) &&
	       (node_is_idle(SIDE_TARGET) || !node_is_alive(SIDE_TARGET));
}

/* A side that is alive, and does not end, must come to rest by its deadlines */
static void wait_until_both_last(void)
{
	uint64_t since = NEVER;

	while (!sim_failed()) {
		if (!both_last())
			since = NEVER;
		else if (since == NEVER)
			since = sched_now();
		else if (sched_now() - since >= LASTS_NS)
			return;
		nap(LOOK_NS);
	}
}

static void wait_until_idle(enum side side)
{
	while (!sim_failed() && !node_is_idle(side) && node_is_alive(side))
		nap(LOOK_NS);
}

/* ---- What is allowed ---- */

/* Every page is there; the source may not know it */
static bool target_is_whole(void)
{
	return node_phase(SIDE_TARGET) == TARGET_COMPLETED ||
	       node_phase(SIDE_TARGET) == TARGET_UNCONFIRMED;
}

static void check_paused(void)
{
	struct machine *m = node_machine(SIDE_TARGET);

	if (node_phase(SIDE_TARGET) == TARGET_DOUBT &&
	    guest_runs(SIDE_TARGET))
		sim_fail("the guest runs on a destination in doubt");
	if (m && !machine_ended(m))
		guest_check(m, target_is_whole());
}

/* A source that did not commit runs its guest as before */
static void check_source(void)
{
	struct machine *m = node_machine(SIDE_SOURCE);
	const unsigned phase = node_phase(SIDE_SOURCE);

	if (!m || machine_ended(m))
		return;
	if (phase == NO_PHASE || phase == SOURCE_FAILED ||
	    phase == SOURCE_CANCELLED) {
		guest_check(m, true);
		if (machine_held(m))
			sim_fail("the guest is still held on the source");
		if (machine_status(m).state == RUN_RUNNING &&
		    !guest_runs(SIDE_SOURCE))
			sim_fail("the guest does not run on the source");
		if (machine_status(m).state != RUN_RUNNING &&
		    machine_status(m).state != RUN_PAUSED)
			sim_fail("the guest's state on the source is %d",
				 (int)machine_status(m).state);
	} else if (guest_runs(SIDE_SOURCE)) {
		sim_fail("the guest runs on a source that has committed");
	}
}

/* COMPLETE is sent by a destination that has each page */
static void check_pair(void)
{
	const unsigned s = node_phase(SIDE_SOURCE);
	const unsigned t = node_phase(SIDE_TARGET);

	if (s == SOURCE_COMPLETED && !target_is_whole() &&
	    node_is_alive(SIDE_TARGET))
		sim_fail("the source has completed, the destination is %s",
			 node_phase_name(SIDE_TARGET));
	if ((s == SOURCE_FAILED || s == SOURCE_CANCELLED) &&
	    t != NO_PHASE && target_may_run(t))
		sim_fail("the source has failed, the destination is %s",
			 node_phase_name(SIDE_TARGET));
}

static void check_end(void)
{
	if (sim_failed())
		return;
	check_source();
	check_paused();
	check_pair();
	node_check_counters();
}

/* ---- Once more, without faults ---- */

static bool is_back(void)
{
	const unsigned s = node_phase(SIDE_SOURCE);
	struct machine *m = node_machine(SIDE_SOURCE);

	return node_is_alive(SIDE_SOURCE) && m && !machine_ended(m) &&
	       (s == NO_PHASE || s == SOURCE_FAILED || s == SOURCE_CANCELLED);
}

static void restart_target(void)
{
	node_command(SIDE_TARGET, COMMAND_QUIT);
	while (!sim_failed() && !node_has_ended(SIDE_TARGET))
		nap(LOOK_NS);
	node_start(SIDE_TARGET);
	wait_until_idle(SIDE_TARGET);
}

static void migrate_again(void)
{
	plan_end_faults();
	/* It may listen with short limits of waits, or not any more */
	if (node_phase(SIDE_TARGET) != TARGET_LISTENING || sim_chance(2))
		restart_target();
	guest_resumed();
	node_migrate();
	wait_until_idle(SIDE_SOURCE);
	wait_until_both_last();
	if (sim_failed())
		return;
	if (node_phase(SIDE_SOURCE) != SOURCE_COMPLETED ||
	    node_phase(SIDE_TARGET) != TARGET_COMPLETED)
		sim_fail("the second attempt, without faults: source %s, destination %s",
			 node_phase_name(SIDE_SOURCE),
			 node_phase_name(SIDE_TARGET));
	check_end();
}

/* ---- The end ---- */

static void check_empty(enum side side)
{
	if (sched_live(side))
		sim_fail("%u threads are left of a process that has quit",
			 sched_live(side));
	if (files_count(side))
		sim_fail("%u descriptors are left of a process that has quit",
			 files_count(side));
	if (memory_blocks(side))
		sim_fail("%zu blocks of %zu bytes are left of a process that has quit",
			 memory_blocks(side), memory_bytes(side));
}

static void quit_both(void)
{
	const bool both = sim_chance(2);

	node_command(SIDE_TARGET, COMMAND_QUIT);
	while (!both && !sim_failed() && !node_has_ended(SIDE_TARGET))
		nap(LOOK_NS);
	node_command(SIDE_SOURCE, COMMAND_QUIT);
	while (!sim_failed() && !(node_has_ended(SIDE_SOURCE) &&
				  node_has_ended(SIDE_TARGET)))
		nap(LOOK_NS);
	/* The resolver's thread is abandoned, and ends by itself */
	nap(SECOND);
	if (sim_failed())
		return;
	check_empty(SIDE_SOURCE);
	check_empty(SIDE_TARGET);
}

static void *operate(void *arg)
{
	(void)arg;
	for (;;)
		sched_wait(&plan_changed, "a moment to act", plan_due());
	return NULL;
}

static void *direct(void *arg)
{
	node_start(SIDE_SOURCE);
	wait_until_idle(SIDE_SOURCE);
	plan.armed = true;
	node_start(SIDE_TARGET);
	wait_until_idle(SIDE_TARGET);
	sched_detach(sched_spawn(operate, NULL, SIDE_NONE, "operator"));
	node_migrate();
	wait_until_idle(SIDE_SOURCE);
	wait_until_both_last();
	snprintf(summary, sizeof(summary), "source %s, destination %s",
		 node_phase_name(SIDE_SOURCE), node_phase_name(SIDE_TARGET));
	check_end();
	if (plan.again && !sim_failed() && is_back())
		migrate_again();
	plan_end_faults();
	quit_both();
	*(bool *)arg = true;
	return NULL;
}

/* What a run that has failed, or a killed process, has left */
static void clean_up(void)
{
	files_forget();
	fake_ram_forget_all();
	memory_free_all(SIDE_NONE);
}

bool run_seed(uint64_t seed)
{
	bool done = false;

	sched_begin(seed);
	plan_begin();
	network_begin(&plan.shape);
	nodes_begin();
	guest_begin(plan.pages);
	summary[0] = 0;
	sched_detach(sched_spawn(direct, &done, SIDE_NONE, "director"));
	sched_run(node_check, &done, END_NS);
	if (!done)
		snprintf(summary, sizeof(summary),
			 "source %s, destination %s (not over)",
			 node_phase_name(SIDE_SOURCE),
			 node_phase_name(SIDE_TARGET));
	sched_end();
	clean_up();
	return !sim_failed();
}
