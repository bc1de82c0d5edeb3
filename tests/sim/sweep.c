// SPDX-License-Identifier: MIT
/* sweep.c - Each call of a run fails once, in a run of its own */

#include <stdio.h>
#include <string.h>

#include "migration/session/phase.h"
#include "plan.h"
#include "run.h"
#include "sweep.h"

#define NAME_MAX_LEN	31
#define LATE_NS		(20 * MS)
#define PAUSES		60	/* by how many orders of the threads */
#define EACH_MAX	120	/* of one kind and side: more are thinned out */

static unsigned runs;

unsigned sweep_runs(void)
{
	return runs;
}

static bool run_once(uint64_t seed, const struct fault *f)
{
	runs++;
	plan_force(f, f ? 1 : 0);
	if (!run_seed(seed))
		return false;
	if (f && !plan.fault[0].fired)
		sim_fail("the call did not fail: is the run another one?");
	return !sim_failed();
}

static bool fail_each(uint64_t seed, struct fault f, unsigned n)
{
	const unsigned step = 1 + n / EACH_MAX;
	const int *error;
	unsigned errors = plan_errors(f.call, &error);

	for (f.nth = 1; f.nth <= n; f.nth += step) {
		/* Each call, with one of its errors after the other */
		f.error = error[(f.nth / step) % errors];
		if (!run_once(seed, &f))
			return false;
	}
	return true;
}

static bool fail_all(uint64_t seed, unsigned (*n)[CALLS])
{
	for (unsigned side = SIDE_SOURCE; side < SIDES; side++)
		for (unsigned call = 0; call < CALLS; call++) {
			const struct fault f = {
				.kind = FAULT_CALL, .trigger = AT_CALL,
				.side = (enum side)side, .times = 1,
				.call = (enum sim_call)call,
			};

			if (!fail_each(seed, f, n[side][call]))
				return false;
		}
	return true;
}

/*
 * A stranger is there first, the source waits until there is room for it, and
 * a thread does not run for a while just after it has changed the phase
 */
static bool run_late(uint64_t seed, enum side side, unsigned phase,
		     unsigned nth)
{
	const struct fault f[] = {
		{ .kind = FAULT_STRANGER, .stranger = STRANGER_MIGRATES,
		  .trigger = AT_TIME },
		{ .kind = FAULT_LATE, .trigger = AT_PHASE, .side = side,
		  .phase = phase, .nth = nth, .time = LATE_NS },
	};

	runs++;
	plan_force(f, 2);
	return run_seed(seed);
}

/* A destination loses its link, and an operator pauses it as it gets another */
static bool be_paused(uint64_t seed)
{
	const struct fault f[] = {
		{ .kind = FAULT_CUT, .cut.kind = CUT_ONE_WAY,
		  .trigger = AT_MESSAGE, .role = WIRE_DEMAND, .index = 2,
		  .byte = SIZE_MAX },
		{ .kind = FAULT_COMMAND, .command = COMMAND_PAUSE,
		  .trigger = AT_PHASE, .side = SIDE_TARGET,
		  .phase = TARGET_REJOIN },
	};

	plan_force(f, 2);
	for (unsigned i = 0; i < PAUSES; i++) {
		runs++;
		if (!run_seed(seed * PAUSES + i))
			return false;
	}
	return true;
}

static bool be_late(uint64_t seed, enum side side, unsigned phases)
{
	for (unsigned i = 0; i < phases; i++)
		if (!run_late(seed, side, i, 1) || !run_late(seed, side, i, 2))
			return false;
	return true;
}

bool sweep_seed(uint64_t seed)
{
	unsigned n[SIDES][CALLS];
	bool good;

	runs = 0;
	good = run_once(seed, NULL);
	for (unsigned side = 0; side < SIDES; side++)
		for (unsigned call = 0; call < CALLS; call++)
			n[side][call] = plan_calls((enum side)side, call);
	good = good && fail_all(seed, n) &&
	       be_late(seed, SIDE_SOURCE, SOURCE_PHASES) &&
	       be_late(seed, SIDE_TARGET, TARGET_PHASES) &&
	       be_paused(seed);
	plan_allow();
	return good;
}

bool sweep_choose(const char *text)
{
	struct fault f = { .kind = FAULT_CALL, .trigger = AT_CALL,
			   .times = 1 };
	char side[NAME_MAX_LEN + 1], call[NAME_MAX_LEN + 1];
	unsigned i = 0;

	if (sscanf(text, "%31[a-z]:%31[a-z_]:%u:%d", side, call, &f.nth,
		   &f.error) != 4)
		return false;
	f.side = strcmp(side, "source") ? SIDE_TARGET : SIDE_SOURCE;
	while (i < CALLS && strcmp(plan_call_name(i), call))
		i++;
	f.call = (enum sim_call)i;
	if (i < CALLS)
		plan_force(&f, 1);
	return i < CALLS;
}
