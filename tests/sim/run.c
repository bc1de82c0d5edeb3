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
#define PAUSED_NS	(40 * SECOND)	/* attempts to reconnect may fail */
#define CONFIRM_NS	(300 * SECOND)	/* ferry-confirm-timeout */
#define END_NS		(3600 * SECOND)
#define TRIES		4		/* an operator's, on a network without faults */

static char summary[200];

/* The destination has waited for CONFIRMED for as long as it does */
static bool confirm_expired;
static uint64_t unconfirmed;

const char *run_summary(void)
{
	return summary;
}

static void nap(uint64_t ns)
{
	sched_wait(NULL, "the director's sleep", sched_now() + ns);
}

/* ---- Phases that last ---- */

enum rest {
	MOVING,		/* a deadline ends this phase */
	PAUSED,		/* the other side, an operator or a long timer does */
	FINAL
};

static enum rest source_rest(void)
{
	switch (node_phase(SIDE_SOURCE)) {
	case SOURCE_COMPLETED:
	case SOURCE_ABANDONED:
	case SOURCE_FAILED:
	case SOURCE_CANCELLED:
	case SOURCE_ENDED:
	case NO_PHASE:
		return FINAL;
	case SOURCE_DOUBT:
	case SOURCE_LOST:
	case SOURCE_REDIAL:
	case SOURCE_REDIAL_DOUBT:
		return PAUSED;
	default:
		return MOVING;
	}
}

static enum rest target_rest(void)
{
	switch (node_phase(SIDE_TARGET)) {
	case TARGET_LISTENING:
	case TARGET_COMPLETED:
	case TARGET_ENDED:
	case NO_PHASE:
		return FINAL;
	case TARGET_UNCONFIRMED:
	case TARGET_DOUBT:
	case TARGET_LOST:
	case TARGET_REJOIN:
	case TARGET_REJOIN_DOUBT:
		return PAUSED;
	default:
		return MOVING;
	}
}

static enum rest both_rest(void)
{
	const enum rest s = source_rest(), t = target_rest();

	if ((node_is_alive(SIDE_SOURCE) && !node_is_idle(SIDE_SOURCE)) ||
	    (node_is_alive(SIDE_TARGET) && !node_is_idle(SIDE_TARGET)))
		return MOVING;
	return s < t ? s : t;
}

static void look_at_confirmation(void)
{
	if (node_phase(SIDE_TARGET) != TARGET_UNCONFIRMED)
		unconfirmed = NEVER;
	else if (unconfirmed == NEVER)
		unconfirmed = sched_now();
	else if (sched_now() - unconfirmed >= CONFIRM_NS - 2 * LOOK_NS)
		confirm_expired = true;
}

/* A side that is alive, and does not end, must come to rest by its deadlines */
static void wait_until_both_last(void)
{
	uint64_t since = NEVER;

	while (!sim_failed()) {
		const enum rest rest = both_rest();
		const uint64_t now = sched_now();

		look_at_confirmation();
		if (rest == MOVING)
			since = NEVER;
		else if (since == NEVER)
			since = now;
		else if (now - since >= (rest == FINAL ? LASTS_NS : PAUSED_NS))
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
		if (fake_machine_is_logging(m))
			sim_fail("the dirty log is still on");
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

/* Where nothing goes wrong, or only strangers come, the guest arrives */
static void check_harmless(void)
{
	if (!plan_is_harmless() || sim_failed())
		return;
	if (node_phase(SIDE_SOURCE) != SOURCE_COMPLETED ||
	    node_phase(SIDE_TARGET) != TARGET_COMPLETED)
		sim_fail("nothing has gone wrong, and yet: source %s, destination %s",
			 node_phase_name(SIDE_SOURCE),
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

/* ---- Recovery ---- */

static bool is_paused(void)
{
	return both_rest() == PAUSED;
}

/* On both sides, in either order */
static void reconnect_both(void)
{
	const enum side first = sim_chance(2) ? SIDE_SOURCE : SIDE_TARGET;

	node_command(first, COMMAND_RECONNECT);
	nap(sim_log(SECOND));
	node_command(first == SIDE_SOURCE ? SIDE_TARGET : SIDE_SOURCE,
		     COMMAND_RECONNECT);
	wait_until_idle(SIDE_SOURCE);
	wait_until_idle(SIDE_TARGET);
	wait_until_both_last();
}

static bool is_back(void)
{
	const unsigned s = node_phase(SIDE_SOURCE);

	return s == NO_PHASE || s == SOURCE_FAILED || s == SOURCE_CANCELLED;
}

static bool target_is_free(void)
{
	return node_phase(SIDE_TARGET) == TARGET_LISTENING ||
	       node_phase(SIDE_TARGET) == NO_PHASE;
}

static void give_up(enum side side)
{
	node_command(side, COMMAND_GIVE_UP);
	wait_until_idle(side);
	wait_until_both_last();
}

/*
 * The network is back, both are alive: the guest must be whole on one side.
 * Two cases need an operator's last word: a destination in doubt whose source
 * has failed and may not tell it by itself; and a source that did not ask
 * before the destination's timer had expired
 */
static void check_recovered(void)
{
	if (is_back() && node_phase(SIDE_TARGET) == TARGET_DOUBT &&
	    (node_asks_operator(SIDE_SOURCE) ||
	     node_phase(SIDE_SOURCE) == NO_PHASE))
		give_up(SIDE_TARGET);
	if (source_rest() == PAUSED && confirm_expired) {
		give_up(SIDE_SOURCE);
		if (node_phase(SIDE_SOURCE) == SOURCE_ABANDONED)
			return;
	}
	if (is_back() ? !target_is_free()
		      : node_phase(SIDE_SOURCE) != SOURCE_COMPLETED ||
			!target_is_whole())
		sim_fail("not recovered: source %s, destination %s",
			 node_phase_name(SIDE_SOURCE),
			 node_phase_name(SIDE_TARGET));
}

/* One side is gone for good: an operator decides about the other */
static void resolve_alone(enum side side)
{
	const unsigned before = node_phase(side);
	const bool doubt = side == SIDE_SOURCE ? before == SOURCE_DOUBT ||
						 before == SOURCE_REDIAL_DOUBT
					       : before == TARGET_DOUBT;
	const bool runs = sim_chance(2);

	/* It may have gone on where it was, which is lost now */
	if (runs && doubt && (side == SIDE_TARGET || guest_ran()))
		guest_rolled_back();
	node_command(side, runs ? COMMAND_RUN_HERE : COMMAND_GIVE_UP);
	wait_until_idle(side);
	wait_until_both_last();
	check_end();
	if (sim_failed() || !runs)
		return;
	if (side == SIDE_SOURCE && doubt != (node_phase(side) == SOURCE_FAILED))
		sim_fail("resolve with --run-here in phase %s: now %s",
			 source_phase_name(before), node_phase_name(side));
	if (side == SIDE_TARGET && doubt && node_phase(side) != TARGET_LOST)
		sim_fail("resolve with --run-here in doubt: now %s",
			 node_phase_name(side));
}

static void resolve(void)
{
	const bool source = node_is_alive(SIDE_SOURCE);

	if (source != node_is_alive(SIDE_TARGET))
		resolve_alone(source ? SIDE_SOURCE : SIDE_TARGET);
}

static void recover(void)
{
	for (unsigned i = 0; i < plan.rounds && is_paused(); i++) {
		plan_more_faults();
		reconnect_both();
		check_end();
	}
	plan_end_faults();
	for (unsigned i = 0; i < TRIES && is_paused() && !sim_failed(); i++)
		reconnect_both();
	check_end();
	if (sim_failed() || !node_is_alive(SIDE_SOURCE) ||
	    !node_is_alive(SIDE_TARGET))
		return;
	check_recovered();
	check_end();
}

/* ---- Once more, without faults ---- */

static bool may_go_again(void)
{
	struct machine *m = node_machine(SIDE_SOURCE);

	return node_is_alive(SIDE_SOURCE) && m && !machine_ended(m) &&
	       is_back();
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

/* One move, with all that it may need until nothing is to be done any more */
static void move_guest(void)
{
	node_migrate();
	wait_until_idle(SIDE_SOURCE);
	wait_until_both_last();
	snprintf(summary, sizeof(summary), "source %s, destination %s",
		 node_phase_name(SIDE_SOURCE), node_phase_name(SIDE_TARGET));
	check_end();
	check_harmless();
	if (!sim_failed())
		recover();
	if (!sim_failed() && is_paused())
		resolve();
}

/* ---- A second move, from where the guest has arrived ---- */

static bool may_move_on(void)
{
	struct machine *m = node_machine(SIDE_TARGET);

	return node_is_alive(SIDE_TARGET) && m && !machine_ended(m) &&
	       node_phase(SIDE_TARGET) == TARGET_COMPLETED &&
	       (node_phase(SIDE_SOURCE) == SOURCE_COMPLETED ||
		!node_is_alive(SIDE_SOURCE));
}

static void move_on(void)
{
	node_command(SIDE_SOURCE, COMMAND_QUIT);
	while (!sim_failed() && !node_has_ended(SIDE_SOURCE))
		nap(LOOK_NS);
	/* The resolver's thread is abandoned, and ends by itself */
	nap(SECOND);
	if (sim_failed())
		return;
	check_empty(SIDE_SOURCE);
	node_take_source();
	guest_moved();
	confirm_expired = false;
	plan_second_leg();
	node_start(SIDE_TARGET);
	wait_until_idle(SIDE_TARGET);
	move_guest();
}

static void *direct(void *arg)
{
	node_start(SIDE_SOURCE);
	wait_until_idle(SIDE_SOURCE);
	plan.armed = true;
	node_start(SIDE_TARGET);
	wait_until_idle(SIDE_TARGET);
	sched_detach(sched_spawn(operate, NULL, SIDE_NONE, "operator"));
	move_guest();
	if (plan.again && !sim_failed() && may_go_again())
		migrate_again();
	if (plan.chain && !sim_failed() && may_move_on())
		move_on();
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
	confirm_expired = false;
	unconfirmed = NEVER;
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
