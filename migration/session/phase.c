// SPDX-License-Identifier: MIT
/*
 * phase.c - The phases of a migration session, as two tables
 *
 * A row is a phase, a column an event, or a group of events that no phase
 * tells apart. Each cell is a phase_step, named by a short macro below.
 */

#include <errno.h>

#include "phase.h"

/* The phase stays; resolved by the step functions */
#define SAME		(~0u)

#define STEP(next, actions)	{ (next), (actions), true }

/* Cells of both tables */
#define ok	STEP(SAME, 0)
#define no	STEP(SAME, PHASE_REJECT)

/* Messages that no phase of this side may receive on main */
#define NEVER_AT_SOURCE(...) \
	[WIRE_MSG_HELLO] = __VA_ARGS__, \
	[WIRE_MSG_DESCRIPTION] = __VA_ARGS__, \
	[WIRE_MSG_STATE] = __VA_ARGS__, \
	[WIRE_MSG_POISON_LIST] = __VA_ARGS__, \
	[WIRE_MSG_ZERO_LIST] = __VA_ARGS__, \
	[WIRE_MSG_PREPARE] = __VA_ARGS__, \
	[WIRE_MSG_COMMIT] = __VA_ARGS__, \
	[WIRE_MSG_PAGES] = __VA_ARGS__, \
	[WIRE_MSG_ZERO] = __VA_ARGS__, \
	[WIRE_MSG_POISON] = __VA_ARGS__, \
	[WIRE_MSG_REQUEST] = __VA_ARGS__, \
	[WIRE_MSG_DONE] = __VA_ARGS__, \
	[WIRE_MSG_BOOT] = __VA_ARGS__, \
	[WIRE_MSG_IMAGE] = __VA_ARGS__, \
	[WIRE_MSG_WRITTEN_LIST] = __VA_ARGS__
#define NEVER_AT_TARGET(...) \
	[WIRE_MSG_WELCOME] = __VA_ARGS__, \
	[WIRE_MSG_BUILT] = __VA_ARGS__, \
	[WIRE_MSG_READY] = __VA_ARGS__, \
	[WIRE_MSG_PREPARED] = __VA_ARGS__, \
	[WIRE_MSG_RUNNING] = __VA_ARGS__, \
	[WIRE_MSG_REQUEST] = __VA_ARGS__, \
	[WIRE_MSG_COMPLETE] = __VA_ARGS__
#define TROUBLE(...) \
	[EVENT_DEADLINE] = __VA_ARGS__, \
	[EVENT_VIOLATION] = __VA_ARGS__, \
	[EVENT_FAILURE] = __VA_ARGS__

/*
 * Cells of the source's table. A small letter: the event is normal there. A
 * capital X in front: a message that the peer must not send in that phase.
 */
#define hold	STEP(SOURCE_HANDOVER, PHASE_SHOW)
#define ready	STEP(SOURCE_PREPARED, 0)
#define commit	STEP(SOURCE_COMMITTED, 0)
#define cut	STEP(SOURCE_COMMITTED_CUT, PHASE_BLAME)
#define ran	STEP(SOURCE_POSTCOPY, PHASE_SHOW)
#define ranc	STEP(SOURCE_LOST, PHASE_SHUT | PHASE_SHOW)
#define sent	STEP(SOURCE_FINISHING, 0)
#define whole	STEP(SOURCE_COMPLETED, 0)
#define close	STEP(SOURCE_COMPLETED, PHASE_CLOSE | PHASE_SHOW)
#define fail	STEP(SOURCE_FAILING, PHASE_BLAME | PHASE_HANG_UP)
#define Xfail	STEP(SOURCE_FAILING, PHASE_BLAME | PHASE_HANG_UP | PHASE_REJECT)
#define stop	STEP(SOURCE_CANCELLING, PHASE_BLAME | PHASE_HANG_UP)
#define doubt	STEP(SOURCE_DOUBT, PHASE_BLAME | PHASE_DOUBT | PHASE_SHUT | \
		     PHASE_SHOW)
#define Xdoubt	STEP(SOURCE_DOUBT, PHASE_BLAME | PHASE_DOUBT | PHASE_SHUT | \
		     PHASE_SHOW | PHASE_REJECT)
#define lost	STEP(SOURCE_LOST, PHASE_BLAME | PHASE_SHUT | PHASE_SHOW)
#define Xlost	STEP(SOURCE_LOST, PHASE_BLAME | PHASE_SHUT | PHASE_SHOW | \
		     PHASE_REJECT)
#define resume	STEP(SOURCE_FAILED, PHASE_RESUME | PHASE_REFUSE | \
		     PHASE_CLOSE | PHASE_SHOW)
#define back	STEP(SOURCE_CANCELLED, PHASE_RESUME | PHASE_REFUSE | \
		     PHASE_CLOSE | PHASE_SHOW)
#define end	STEP(SOURCE_ENDED, PHASE_SHUT)

/* early: WELCOME, BUILT, READY; never: all other messages; bad: TROUBLE */
#define SOURCE_ROW(phase, early, refuse, prepared, running, complete, never, \
		   holding, committing, all_sent, left, \
		   main, demand, push, bad, cancel, pause, quit) \
	[phase] = { \
		[0] = no, \
		[WIRE_MSG_WELCOME] = early, [WIRE_MSG_BUILT] = early, \
		[WIRE_MSG_READY] = early, \
		[WIRE_MSG_REFUSE] = refuse, [WIRE_MSG_PREPARED] = prepared, \
		[WIRE_MSG_RUNNING] = running, [WIRE_MSG_COMPLETE] = complete, \
		NEVER_AT_SOURCE(never), \
		[EVENT_HOLD] = holding, [EVENT_COMMIT] = committing, \
		[EVENT_ALL_SENT] = all_sent, [EVENT_LEFT] = left, \
		[EVENT_LOADED] = no, [EVENT_WHOLE] = no, \
		[EVENT_DISCARDED] = no, \
		[EVENT_MAIN_LOST] = main, [EVENT_DEMAND_LOST] = demand, \
		[EVENT_PUSH_LOST] = push, TROUBLE(bad), \
		[EVENT_CANCEL] = cancel, [EVENT_PAUSE] = pause, \
		[EVENT_QUIT] = quit, \
	}

static const struct phase_step source_table[SOURCE_PHASES][PHASE_EVENTS] = {
/*
 *	messages: early, REFUSE, PREPARED, RUNNING, COMPLETE, never
 *	milestones: hold, commit, all sent, left
 *	lost: main, demand, push; trouble; commands: cancel, pause, quit
 */
SOURCE_ROW(SOURCE_SETUP,
	ok, fail, Xfail, Xfail, Xfail, Xfail,
	hold, no, no, resume,
	fail, fail, fail, fail, stop, no, stop),
SOURCE_ROW(SOURCE_HANDOVER,
	Xfail, fail, ready, Xfail, Xfail, Xfail,
	no, no, no, resume,
	fail, fail, fail, fail, stop, no, stop),
SOURCE_ROW(SOURCE_PREPARED,
	Xfail, fail, Xfail, Xfail, Xfail, Xfail,
	no, commit, no, resume,
	fail, fail, fail, fail, stop, no, stop),
SOURCE_ROW(SOURCE_COMMITTED,
	Xdoubt, Xdoubt, Xdoubt, ran, Xdoubt, Xdoubt,
	no, no, no, doubt,
	doubt, cut, cut, doubt, no, no, end),
SOURCE_ROW(SOURCE_COMMITTED_CUT,
	Xdoubt, Xdoubt, Xdoubt, ranc, Xdoubt, Xdoubt,
	no, no, no, doubt,
	doubt, ok, ok, doubt, no, no, end),
SOURCE_ROW(SOURCE_POSTCOPY,
	Xlost, Xlost, Xlost, Xlost, Xlost, Xlost,
	no, no, sent, lost,
	lost, lost, lost, lost, no, lost, end),
SOURCE_ROW(SOURCE_FINISHING,
	Xlost, Xlost, Xlost, Xlost, whole, Xlost,
	no, no, no, lost,
	lost, ok, ok, lost, no, lost, end),
SOURCE_ROW(SOURCE_COMPLETED,
	ok, ok, ok, ok, ok, ok,
	no, no, no, close,
	ok, ok, ok, ok, no, no, end),
SOURCE_ROW(SOURCE_DOUBT,
	ok, ok, ok, ok, ok, ok,
	no, no, no, ok,
	ok, ok, ok, ok, no, no, end),
SOURCE_ROW(SOURCE_LOST,
	ok, ok, ok, ok, ok, ok,
	no, no, no, ok,
	ok, ok, ok, ok, no, no, end),
SOURCE_ROW(SOURCE_FAILING,
	ok, ok, ok, ok, ok, ok,
	no, no, no, resume,
	ok, ok, ok, ok, ok, no, ok),
SOURCE_ROW(SOURCE_CANCELLING,
	ok, ok, ok, ok, ok, ok,
	no, no, no, back,
	ok, ok, ok, ok, ok, no, ok),
SOURCE_ROW(SOURCE_FAILED,
	ok, ok, ok, ok, ok, ok,
	no, no, no, ok,
	ok, ok, ok, ok, ok, no, ok),
SOURCE_ROW(SOURCE_CANCELLED,
	ok, ok, ok, ok, ok, ok,
	no, no, no, ok,
	ok, ok, ok, ok, ok, no, ok),
SOURCE_ROW(SOURCE_ENDED,
	ok, ok, ok, ok, ok, ok,
	no, no, no, ok,
	ok, ok, ok, ok, no, no, ok),
};

#undef ready
#undef commit
#undef cut
#undef ran
#undef whole
#undef close
#undef fail
#undef Xfail
#undef stop
#undef doubt
#undef Xdoubt
#undef lost
#undef Xlost
#undef end

/* Cells of the destination's table */
#define begin	STEP(TARGET_SETUP, PHASE_SHOW)
#define held	STEP(TARGET_HANDOVER, PHASE_SHOW)
#define loads	STEP(TARGET_LOADING, 0)
#define ready	STEP(TARGET_PREPARED, 0)
#define cut	STEP(TARGET_PREPARED_CUT, PHASE_BLAME)
#define commit	STEP(TARGET_POSTCOPY, PHASE_RUN | PHASE_SHOW)
#define commitc	STEP(TARGET_LOST, PHASE_RUN | PHASE_SHOW)
#define whole	STEP(TARGET_WHOLE, 0)
#define done	STEP(TARGET_COMPLETED, PHASE_CLOSE | PHASE_SHOW)
#define fail	STEP(TARGET_FAILING, PHASE_BLAME | PHASE_RELEASE | \
		     PHASE_HANG_UP)
#define Xfail	STEP(TARGET_FAILING, PHASE_BLAME | PHASE_RELEASE | \
		     PHASE_HANG_UP | PHASE_REJECT)
#define doubt	STEP(TARGET_DOUBT, PHASE_BLAME | PHASE_DOUBT | PHASE_SHUT | \
		     PHASE_SHOW)
#define Xdoubt	STEP(TARGET_DOUBT, PHASE_BLAME | PHASE_DOUBT | PHASE_SHUT | \
		     PHASE_SHOW | PHASE_REJECT)
#define lost	STEP(TARGET_LOST, PHASE_BLAME | PHASE_SHUT | PHASE_SHOW)
#define Xlost	STEP(TARGET_LOST, PHASE_BLAME | PHASE_SHUT | PHASE_SHOW | \
		     PHASE_REJECT)
#define shut	STEP(SAME, PHASE_SHUT)
#define clear	STEP(TARGET_FAILING, PHASE_REFUSE | PHASE_DISCARD | PHASE_SHOW)
#define listen	STEP(TARGET_LISTENING, 0)
#define quit	STEP(TARGET_QUITTING, PHASE_SHUT)
#define quitr	STEP(TARGET_QUITTING, PHASE_RELEASE | PHASE_HANG_UP)
#define end	STEP(TARGET_ENDED, PHASE_DISCARD)

/*
 * setup: DESCRIPTION, BOOT, IMAGE, ZERO_LIST; lists: WRITTEN_LIST,
 * POISON_LIST, PAGES, ZERO, POISON; never: all other messages
 */
#define TARGET_ROW(phase, hello, setup, state, lists, prepare, committed, \
		   refuse, all_sent, never, \
		   loaded, is_whole, left, discarded, \
		   main, demand, push, bad, pause, quitting) \
	[phase] = { \
		[0] = no, \
		[WIRE_MSG_HELLO] = hello, [WIRE_MSG_DESCRIPTION] = setup, \
		[WIRE_MSG_BOOT] = setup, [WIRE_MSG_IMAGE] = setup, \
		[WIRE_MSG_ZERO_LIST] = setup, [WIRE_MSG_STATE] = state, \
		[WIRE_MSG_WRITTEN_LIST] = lists, \
		[WIRE_MSG_POISON_LIST] = lists, [WIRE_MSG_PAGES] = lists, \
		[WIRE_MSG_ZERO] = lists, [WIRE_MSG_POISON] = lists, \
		[WIRE_MSG_PREPARE] = prepare, [WIRE_MSG_COMMIT] = committed, \
		[WIRE_MSG_REFUSE] = refuse, [WIRE_MSG_DONE] = all_sent, \
		NEVER_AT_TARGET(never), \
		[EVENT_HOLD] = no, [EVENT_COMMIT] = no, \
		[EVENT_ALL_SENT] = no, [EVENT_LOADED] = loaded, \
		[EVENT_WHOLE] = is_whole, [EVENT_LEFT] = left, \
		[EVENT_DISCARDED] = discarded, \
		[EVENT_MAIN_LOST] = main, [EVENT_DEMAND_LOST] = demand, \
		[EVENT_PUSH_LOST] = push, TROUBLE(bad), \
		[EVENT_CANCEL] = no, [EVENT_PAUSE] = pause, \
		[EVENT_QUIT] = quitting, \
	}

static const struct phase_step target_table[TARGET_PHASES][PHASE_EVENTS] = {
/*
 *	messages: HELLO, setup, STATE, lists, PREPARE, COMMIT, REFUSE, DONE,
 *		never
 *	milestones: loaded, whole, left, discarded
 *	lost: main, demand, push; trouble; commands: pause, quit
 */
TARGET_ROW(TARGET_LISTENING,
	begin, no, no, no, no, no, no, no, no,
	no, no, ok, no,
	ok, ok, ok, ok, no, quit),
TARGET_ROW(TARGET_SETUP,
	no, ok, held, Xfail, Xfail, Xfail, fail, Xfail, Xfail,
	no, no, clear, no,
	fail, fail, fail, fail, no, quitr),
TARGET_ROW(TARGET_HANDOVER,
	no, Xfail, Xfail, ok, loads, Xfail, fail, Xfail, Xfail,
	no, no, clear, no,
	fail, fail, fail, fail, no, quitr),
TARGET_ROW(TARGET_LOADING,
	no, Xfail, Xfail, Xfail, Xfail, Xfail, fail, Xfail, Xfail,
	ready, no, clear, no,
	fail, fail, fail, fail, no, quitr),
TARGET_ROW(TARGET_PREPARED,
	no, Xdoubt, Xdoubt, Xdoubt, Xdoubt, commit, fail, Xdoubt, Xdoubt,
	no, no, doubt, no,
	doubt, cut, cut, doubt, no, quit),
TARGET_ROW(TARGET_PREPARED_CUT,
	no, Xdoubt, Xdoubt, Xdoubt, Xdoubt, commitc, fail, Xdoubt, Xdoubt,
	no, no, doubt, no,
	doubt, ok, ok, doubt, no, quit),
TARGET_ROW(TARGET_POSTCOPY,
	no, Xlost, Xlost, Xlost, Xlost, Xlost, Xlost, ok, Xlost,
	no, whole, lost, no,
	lost, lost, lost, lost, lost, quit),
TARGET_ROW(TARGET_WHOLE,
	no, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, done, no,
	ok, ok, ok, ok, no, quit),
TARGET_ROW(TARGET_COMPLETED,
	no, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, ok, no,
	ok, ok, ok, ok, no, quit),
TARGET_ROW(TARGET_DOUBT,
	no, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, shut, no,
	ok, ok, ok, ok, no, quit),
TARGET_ROW(TARGET_LOST,
	no, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, shut, no,
	ok, ok, ok, ok, no, quit),
TARGET_ROW(TARGET_FAILING,
	no, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, clear, listen,
	ok, ok, ok, ok, no, quitr),
TARGET_ROW(TARGET_QUITTING,
	no, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, end, no,
	ok, ok, ok, ok, no, ok),
TARGET_ROW(TARGET_ENDED,
	no, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, ok, no,
	ok, ok, ok, ok, no, ok),
};

static struct phase_step resolve(struct phase_step s, unsigned phase)
{
	if (s.next == SAME)
		s.next = phase;
	return s;
}

struct phase_step source_step(unsigned phase, unsigned event)
{
	if (phase >= SOURCE_PHASES || event >= PHASE_EVENTS)
		return (struct phase_step){ phase, PHASE_REJECT, false };
	return resolve(source_table[phase][event], phase);
}

struct phase_step target_step(unsigned phase, unsigned event)
{
	if (phase >= TARGET_PHASES || event >= PHASE_EVENTS)
		return (struct phase_step){ phase, PHASE_REJECT, false };
	return resolve(target_table[phase][event], phase);
}

const char *source_phase_name(unsigned phase)
{
	static const char *const name[SOURCE_PHASES] = {
		"setup", "handover", "prepared", "committed", "committed-cut",
		"postcopy", "finishing", "completed", "doubt", "lost",
		"failing", "cancelling", "failed", "cancelled", "ended",
	};

	return phase < SOURCE_PHASES ? name[phase] : "?";
}

const char *target_phase_name(unsigned phase)
{
	static const char *const name[TARGET_PHASES] = {
		"listening", "setup", "handover", "loading", "prepared",
		"prepared-cut", "postcopy", "whole", "completed", "doubt",
		"lost", "failing", "quitting", "ended",
	};

	return phase < TARGET_PHASES ? name[phase] : "?";
}

const char *phase_event_name(unsigned event)
{
	static const char *const name[PHASE_EVENTS - WIRE_MSG_TYPES] = {
		"hold", "commit", "all-sent", "loaded", "whole", "left",
		"discarded",
		"main-lost", "demand-lost", "push-lost", "deadline",
		"violation", "failure", "cancel", "pause", "quit",
	};

	if (event < WIRE_MSG_TYPES)
		return wire_name((enum wire_type)event);
	return event < PHASE_EVENTS ? name[event - WIRE_MSG_TYPES] : "?";
}

bool source_may_run(unsigned phase)
{
	return phase == SOURCE_SETUP || phase == SOURCE_FAILING ||
	       phase == SOURCE_CANCELLING || phase == SOURCE_FAILED ||
	       phase == SOURCE_CANCELLED;
}

bool target_may_run(unsigned phase)
{
	return phase == TARGET_POSTCOPY || phase == TARGET_WHOLE ||
	       phase == TARGET_COMPLETED || phase == TARGET_LOST;
}

bool source_has_committed(unsigned phase)
{
	return (phase >= SOURCE_COMMITTED && phase <= SOURCE_LOST) ||
	       phase == SOURCE_ENDED;
}

bool source_is_sending(unsigned phase)
{
	return phase <= SOURCE_FINISHING;
}

bool target_has_promised(unsigned phase)
{
	return phase >= TARGET_PREPARED && phase <= TARGET_LOST;
}

bool target_has_committed(unsigned phase)
{
	return target_may_run(phase);
}

bool target_is_linked(unsigned phase)
{
	return phase >= TARGET_SETUP && phase <= TARGET_POSTCOPY &&
	       phase != TARGET_PREPARED_CUT;
}

bool target_serves_faults(unsigned phase)
{
	return (phase >= TARGET_SETUP && phase <= TARGET_POSTCOPY) ||
	       phase == TARGET_DOUBT || phase == TARGET_LOST;
}

enum phase_event phase_event_of(int rc)
{
	switch (rc) {
	case -EPIPE:
		return EVENT_MAIN_LOST;
	case -ETIMEDOUT:
		return EVENT_DEADLINE;
	case -EBADMSG:
	case -EPROTO:
	case -ECONNREFUSED:
		return EVENT_VIOLATION;
	default:
		return EVENT_FAILURE;
	}
}
