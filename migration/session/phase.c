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
	[WIRE_MSG_WRITTEN_LIST] = __VA_ARGS__, \
	[WIRE_MSG_RESUME] = __VA_ARGS__, \
	[WIRE_MSG_CHUNK_ACK] = __VA_ARGS__, \
	[WIRE_MSG_CONFIRMED] = __VA_ARGS__, \
	[WIRE_MSG_PASS] = __VA_ARGS__, \
	[WIRE_MSG_DISCARD] = __VA_ARGS__
#define NEVER_AT_TARGET(...) \
	[WIRE_MSG_WELCOME] = __VA_ARGS__, \
	[WIRE_MSG_BUILT] = __VA_ARGS__, \
	[WIRE_MSG_READY] = __VA_ARGS__, \
	[WIRE_MSG_PASSED] = __VA_ARGS__, \
	[WIRE_MSG_PREPARED] = __VA_ARGS__, \
	[WIRE_MSG_RUNNING] = __VA_ARGS__, \
	[WIRE_MSG_REQUEST] = __VA_ARGS__, \
	[WIRE_MSG_COMPLETE] = __VA_ARGS__, \
	[WIRE_MSG_REPORT] = __VA_ARGS__, \
	[WIRE_MSG_CHUNK_ACK] = __VA_ARGS__, \
	[WIRE_MSG_ENDED] = __VA_ARGS__

/*
 * Cells of the source's table. A small letter: the event is normal there. A
 * capital X in front: a message that the peer must not send in that phase. A
 * capital M: as the cell without it, but only an operator resumes.
 */
#define hold	STEP(SOURCE_HANDOVER, PHASE_SHOW)
#define ready	STEP(SOURCE_PREPARED, 0)
#define commit	STEP(SOURCE_COMMITTED, 0)
#define cut	STEP(SOURCE_COMMITTED_CUT, PHASE_BLAME)
#define ran	STEP(SOURCE_POSTCOPY, PHASE_SHOW)
#define ranc	STEP(SOURCE_LOST, PHASE_SHUT | PHASE_SHOW)
#define sent	STEP(SOURCE_FINISHING, 0)
#define whole	STEP(SOURCE_COMPLETED, 0)
#define over	STEP(SOURCE_COMPLETED, PHASE_BLAME | PHASE_SHUT | PHASE_ENDED)
#define close	STEP(SOURCE_COMPLETED, PHASE_CLOSE | PHASE_SHOW)
#define fail	STEP(SOURCE_FAILING, PHASE_BLAME | PHASE_HANG_UP)
#define Xfail	STEP(SOURCE_FAILING, PHASE_BLAME | PHASE_HANG_UP | PHASE_REJECT)
#define stop	STEP(SOURCE_CANCELLING, PHASE_BLAME | PHASE_HANG_UP)
#define doubt	STEP(SOURCE_DOUBT, PHASE_BLAME | PHASE_DOUBT | PHASE_SHUT | \
		     PHASE_SHOW)
#define Mdoubt	STEP(SOURCE_DOUBT, PHASE_BLAME | PHASE_DOUBT | PHASE_SHUT | \
		     PHASE_SHOW | PHASE_MANUAL)
#define Xdoubt	STEP(SOURCE_DOUBT, PHASE_BLAME | PHASE_DOUBT | PHASE_SHUT | \
		     PHASE_SHOW | PHASE_MANUAL | PHASE_REJECT)
#define lost	STEP(SOURCE_LOST, PHASE_BLAME | PHASE_SHUT | PHASE_SHOW)
#define Mlost	STEP(SOURCE_LOST, PHASE_BLAME | PHASE_SHUT | PHASE_SHOW | \
		     PHASE_MANUAL)
#define Xlost	STEP(SOURCE_LOST, PHASE_BLAME | PHASE_SHUT | PHASE_SHOW | \
		     PHASE_MANUAL | PHASE_REJECT)
#define manual	STEP(SAME, PHASE_MANUAL | PHASE_SHOW)
#define dial	STEP(SOURCE_REDIAL, PHASE_SHOW)
#define diald	STEP(SOURCE_REDIAL_DOUBT, PHASE_SHOW)
#define known	STEP(SAME, PHASE_SHOW)
#define here	STEP(SOURCE_FAILING, PHASE_BLAME | PHASE_HANG_UP)
#define drop	STEP(SOURCE_ABANDONED, PHASE_BLAME | PHASE_SHUT)
#define dropped	STEP(SOURCE_ABANDONED, PHASE_CLOSE | PHASE_SHOW)
#define resume	STEP(SOURCE_FAILED, PHASE_RESUME | PHASE_REFUSE | \
		     PHASE_CLOSE | PHASE_SHOW)
#define back	STEP(SOURCE_CANCELLED, PHASE_RESUME | PHASE_REFUSE | \
		     PHASE_CLOSE | PHASE_SHOW)
#define end	STEP(SOURCE_ENDED, PHASE_SHUT)

/*
 * early: WELCOME, BUILT, READY, PASSED; never: all messages that are not named;
 * bad: DEADLINE, FAILURE; wrong: VIOLATION
 */
#define SOURCE_ROW(phase, early, refuse, prepared, running, complete, \
		   reports, beat, ended, never, \
		   holding, committing, all_sent, left, \
		   redial, peer_runs, peer_whole, recovered, \
		   main, demand, push, pushes, bad, wrong, \
		   cancel, pause, run_here, give_up, quit) \
	[phase] = { \
		[0] = no, \
		[WIRE_MSG_WELCOME] = early, [WIRE_MSG_BUILT] = early, \
		[WIRE_MSG_READY] = early, [WIRE_MSG_PASSED] = early, \
		[WIRE_MSG_REFUSE] = refuse, [WIRE_MSG_PREPARED] = prepared, \
		[WIRE_MSG_RUNNING] = running, [WIRE_MSG_COMPLETE] = complete, \
		[WIRE_MSG_REPORT] = reports, [WIRE_MSG_BEAT] = beat, \
		[WIRE_MSG_ENDED] = ended, \
		NEVER_AT_SOURCE(never), \
		[EVENT_HOLD] = holding, [EVENT_COMMIT] = committing, \
		[EVENT_ALL_SENT] = all_sent, [EVENT_LEFT] = left, \
		[EVENT_LOADED] = no, [EVENT_WHOLE] = no, \
		[EVENT_DISCARDED] = no, \
		[EVENT_REDIAL] = redial, [EVENT_REJOINED] = no, \
		[EVENT_PEER_RUNS] = peer_runs, \
		[EVENT_PEER_WHOLE] = peer_whole, \
		[EVENT_RECOVERED] = recovered, \
		[EVENT_MAIN_LOST] = main, [EVENT_DEMAND_LOST] = demand, \
		[EVENT_PUSH_LOST] = push, [EVENT_PUSHES_LOST] = pushes, \
		[EVENT_DEADLINE] = bad, [EVENT_FAILURE] = bad, \
		[EVENT_VIOLATION] = wrong, \
		[EVENT_CANCEL] = cancel, [EVENT_PAUSE] = pause, \
		[EVENT_RUN_HERE] = run_here, [EVENT_GIVE_UP] = give_up, \
		[EVENT_QUIT] = quit, \
	}

static const struct phase_step source_table[SOURCE_PHASES][PHASE_EVENTS] = {
/*
 *	messages: early, REFUSE, PREPARED, RUNNING, COMPLETE,
 *		REPORT, BEAT, ENDED, never
 *	milestones: hold, commit, all sent, left
 *	recovery: redial, peer runs, peer is whole, recovered
 *	lost: main, demand, push, pushes; trouble: bad, wrong
 *	commands: cancel, pause, run here, give up, quit
 */
SOURCE_ROW(SOURCE_SETUP,
	ok, fail, Xfail, Xfail, Xfail, Xfail, Xfail, Xfail, Xfail,
	hold, no, no, resume,
	no, no, no, no,
	fail, fail, fail, fail, fail, fail,
	stop, no, no, no, stop),
SOURCE_ROW(SOURCE_HANDOVER,
	Xfail, fail, ready, Xfail, Xfail, Xfail, Xfail, Xfail, Xfail,
	no, no, no, resume,
	no, no, no, no,
	fail, fail, fail, fail, fail, fail,
	stop, no, no, no, stop),
SOURCE_ROW(SOURCE_PREPARED,
	Xfail, fail, Xfail, Xfail, Xfail, Xfail, Xfail, Xfail, Xfail,
	no, commit, no, resume,
	no, no, no, no,
	fail, fail, fail, fail, fail, fail,
	stop, no, no, no, stop),
SOURCE_ROW(SOURCE_COMMITTED,
	Xdoubt, Xdoubt, Xdoubt, ran, Xdoubt, Xdoubt, Xdoubt, over, Xdoubt,
	no, no, no, doubt,
	no, no, no, no,
	doubt, cut, cut, cut, doubt, Mdoubt,
	no, no, no, no, end),
SOURCE_ROW(SOURCE_COMMITTED_CUT,
	Xdoubt, Xdoubt, Xdoubt, ranc, Xdoubt, Xdoubt, Xdoubt, over, Xdoubt,
	no, no, no, doubt,
	no, no, no, no,
	doubt, ok, ok, ok, doubt, Mdoubt,
	no, no, no, no, end),
SOURCE_ROW(SOURCE_POSTCOPY,
	Xlost, Xlost, Xlost, Xlost, Xlost, Xlost, ok, over, Xlost,
	no, no, sent, lost,
	no, no, no, no,
	lost, lost, ok, lost, lost, Mlost,
	no, Mlost, no, no, end),
SOURCE_ROW(SOURCE_FINISHING,
	Xlost, Xlost, Xlost, Xlost, whole, Xlost, ok, over, Xlost,
	no, no, no, lost,
	no, no, no, no,
	lost, ok, ok, ok, lost, Mlost,
	no, Mlost, no, no, end),
SOURCE_ROW(SOURCE_COMPLETED,
	ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, no, close,
	no, no, no, no,
	ok, ok, ok, ok, ok, ok,
	no, no, no, no, end),
SOURCE_ROW(SOURCE_DOUBT,
	ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, no, ok,
	diald, no, no, no,
	ok, ok, ok, ok, ok, ok,
	no, manual, here, drop, end),
SOURCE_ROW(SOURCE_LOST,
	ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, no, ok,
	dial, no, no, no,
	ok, ok, ok, ok, ok, ok,
	no, manual, no, drop, end),
SOURCE_ROW(SOURCE_REDIAL_DOUBT,
	ok, doubt, Xdoubt, Xdoubt, Xdoubt, ok, Xdoubt, over, Xdoubt,
	no, commit, no, doubt,
	no, dial, whole, no,
	doubt, doubt, doubt, doubt, doubt, Mdoubt,
	no, Mdoubt, here, drop, end),
SOURCE_ROW(SOURCE_REDIAL,
	ok, lost, Xlost, Xlost, Xlost, ok, Xlost, over, Xlost,
	no, no, no, lost,
	no, known, whole, ran,
	lost, lost, lost, lost, lost, Mlost,
	no, Mlost, no, drop, end),
SOURCE_ROW(SOURCE_ABANDONED,
	ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, no, dropped,
	no, no, no, no,
	ok, ok, ok, ok, ok, ok,
	no, no, no, no, end),
SOURCE_ROW(SOURCE_FAILING,
	ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, no, resume,
	no, no, no, no,
	ok, ok, ok, ok, ok, ok,
	ok, no, no, no, ok),
SOURCE_ROW(SOURCE_CANCELLING,
	ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, no, back,
	no, no, no, no,
	ok, ok, ok, ok, ok, ok,
	ok, no, no, no, ok),
SOURCE_ROW(SOURCE_FAILED,
	ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, no, ok,
	no, no, no, no,
	ok, ok, ok, ok, ok, ok,
	ok, no, no, no, ok),
SOURCE_ROW(SOURCE_CANCELLED,
	ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, no, ok,
	no, no, no, no,
	ok, ok, ok, ok, ok, ok,
	ok, no, no, no, ok),
SOURCE_ROW(SOURCE_ENDED,
	ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, no, ok,
	no, no, no, no,
	ok, ok, ok, ok, ok, ok,
	no, no, no, no, ok),
};

#undef ready
#undef commit
#undef cut
#undef whole
#undef close
#undef fail
#undef Xfail
#undef doubt
#undef Mdoubt
#undef Xdoubt
#undef lost
#undef Mlost
#undef Xlost
#undef here
#undef end

/* Cells of the destination's table */
#define begin	STEP(TARGET_SETUP, PHASE_SHOW)
#define held	STEP(TARGET_HANDOVER, PHASE_SHOW)
#define loads	STEP(TARGET_LOADING, 0)
#define ready	STEP(TARGET_PREPARED, 0)
#define cut	STEP(TARGET_PREPARED_CUT, PHASE_BLAME)
#define commit	STEP(TARGET_POSTCOPY, PHASE_RUN | PHASE_SHOW)
#define commitc	STEP(TARGET_LOST, PHASE_RUN | PHASE_SHOW)
#define here	STEP(TARGET_LOST, PHASE_BLAME | PHASE_RUN | PHASE_SHOW)
#define whole	STEP(TARGET_WHOLE, 0)
#define sure	STEP(TARGET_COMPLETED, 0)
#define done	STEP(TARGET_COMPLETED, PHASE_CLOSE | PHASE_SHOW)
#define unsure	STEP(TARGET_UNCONFIRMED, PHASE_SHUT | PHASE_SHOW)
#define Xunsure	STEP(TARGET_UNCONFIRMED, PHASE_SHUT | PHASE_SHOW | PHASE_REJECT)
#define fail	STEP(TARGET_FAILING, PHASE_BLAME | PHASE_RELEASE | \
		     PHASE_HANG_UP)
#define Xfail	STEP(TARGET_FAILING, PHASE_BLAME | PHASE_RELEASE | \
		     PHASE_HANG_UP | PHASE_REJECT)
#define doubt	STEP(TARGET_DOUBT, PHASE_BLAME | PHASE_DOUBT | PHASE_SHUT | \
		     PHASE_SHOW)
#define Mdoubt	STEP(TARGET_DOUBT, PHASE_BLAME | PHASE_DOUBT | PHASE_SHUT | \
		     PHASE_SHOW | PHASE_MANUAL)
#define Xdoubt	STEP(TARGET_DOUBT, PHASE_BLAME | PHASE_DOUBT | PHASE_SHUT | \
		     PHASE_SHOW | PHASE_MANUAL | PHASE_REJECT)
#define lost	STEP(TARGET_LOST, PHASE_BLAME | PHASE_SHUT | PHASE_SHOW)
#define Mlost	STEP(TARGET_LOST, PHASE_BLAME | PHASE_SHUT | PHASE_SHOW | \
		     PHASE_MANUAL)
#define Xlost	STEP(TARGET_LOST, PHASE_BLAME | PHASE_SHUT | PHASE_SHOW | \
		     PHASE_MANUAL | PHASE_REJECT)
#define joins	STEP(TARGET_REJOIN, PHASE_SHOW)
#define joinsd	STEP(TARGET_REJOIN_DOUBT, PHASE_SHOW)
#define joinsw	STEP(TARGET_WHOLE, 0)
#define again	STEP(TARGET_POSTCOPY, PHASE_SHOW)
#define shut	STEP(SAME, PHASE_SHUT)
#define clear	STEP(TARGET_FAILING, PHASE_REFUSE | PHASE_DISCARD | PHASE_SHOW)
#define listen	STEP(TARGET_LISTENING, 0)
#define quit	STEP(TARGET_QUITTING, PHASE_SHUT)
#define quith	STEP(TARGET_QUITTING, PHASE_HANG_UP)
#define quits	STEP(TARGET_QUITTING, 0)	/* ENDED comes first */
#define quitr	STEP(TARGET_QUITTING, PHASE_RELEASE | PHASE_HANG_UP)
#define end	STEP(TARGET_ENDED, PHASE_ENDED | PHASE_DISCARD)

/*
 * setup: DESCRIPTION, BOOT, IMAGE, ZERO_LIST, PASS; pages: PAGES, ZERO; lists:
 * WRITTEN_LIST, DISCARD, POISON_LIST, POISON; never: all messages that are not
 * named; bad: DEADLINE, FAILURE; wrong: VIOLATION
 */
#define TARGET_ROW(phase, hello, setup, pages, state, lists, prepare, \
		   committed, \
		   refuse, all_sent, resumes, beat, confirmed, never, \
		   loaded, is_whole, left, discarded, \
		   rejoined, recovered, \
		   main, demand, push, pushes, bad, wrong, \
		   pause, run_here, give_up, quitting) \
	[phase] = { \
		[0] = no, \
		[WIRE_MSG_HELLO] = hello, [WIRE_MSG_DESCRIPTION] = setup, \
		[WIRE_MSG_BOOT] = setup, [WIRE_MSG_IMAGE] = setup, \
		[WIRE_MSG_ZERO_LIST] = setup, [WIRE_MSG_PASS] = setup, \
		[WIRE_MSG_PAGES] = pages, [WIRE_MSG_ZERO] = pages, \
		[WIRE_MSG_STATE] = state, [WIRE_MSG_WRITTEN_LIST] = lists, \
		[WIRE_MSG_DISCARD] = lists, [WIRE_MSG_POISON_LIST] = lists, \
		[WIRE_MSG_POISON] = lists, \
		[WIRE_MSG_PREPARE] = prepare, [WIRE_MSG_COMMIT] = committed, \
		[WIRE_MSG_REFUSE] = refuse, [WIRE_MSG_DONE] = all_sent, \
		[WIRE_MSG_RESUME] = resumes, [WIRE_MSG_BEAT] = beat, \
		[WIRE_MSG_CONFIRMED] = confirmed, \
		NEVER_AT_TARGET(never), \
		[EVENT_HOLD] = no, [EVENT_COMMIT] = no, \
		[EVENT_ALL_SENT] = no, [EVENT_LOADED] = loaded, \
		[EVENT_WHOLE] = is_whole, [EVENT_LEFT] = left, \
		[EVENT_DISCARDED] = discarded, \
		[EVENT_REDIAL] = no, [EVENT_REJOINED] = rejoined, \
		[EVENT_PEER_RUNS] = no, [EVENT_PEER_WHOLE] = no, \
		[EVENT_RECOVERED] = recovered, \
		[EVENT_MAIN_LOST] = main, [EVENT_DEMAND_LOST] = demand, \
		[EVENT_PUSH_LOST] = push, [EVENT_PUSHES_LOST] = pushes, \
		[EVENT_DEADLINE] = bad, [EVENT_FAILURE] = bad, \
		[EVENT_VIOLATION] = wrong, \
		[EVENT_CANCEL] = no, [EVENT_PAUSE] = pause, \
		[EVENT_RUN_HERE] = run_here, [EVENT_GIVE_UP] = give_up, \
		[EVENT_QUIT] = quitting, \
	}

static const struct phase_step target_table[TARGET_PHASES][PHASE_EVENTS] = {
/*
 *	messages: HELLO, setup, pages, STATE, lists, PREPARE, COMMIT,
 *		REFUSE, DONE, RESUME, BEAT, CONFIRMED, never
 *	milestones: loaded, whole, left, discarded
 *	recovery: rejoined, recovered
 *	lost: main, demand, push, pushes; trouble: bad, wrong
 *	commands: pause, run here, give up, quit
 */
TARGET_ROW(TARGET_LISTENING,
	begin, no, no, no, no, no, no, no, no, no, no, no, no,
	no, no, ok, no,
	no, no,
	ok, ok, ok, ok, ok, ok,
	no, no, no, quit),
TARGET_ROW(TARGET_SETUP,
	no, ok, ok, held, Xfail, Xfail, Xfail,
	fail, Xfail, Xfail, Xfail, Xfail, Xfail,
	no, no, clear, no,
	no, no,
	fail, fail, fail, fail, fail, fail,
	no, no, no, quitr),
TARGET_ROW(TARGET_HANDOVER,
	no, Xfail, ok, Xfail, ok, loads, Xfail,
	fail, Xfail, Xfail, Xfail, Xfail, Xfail,
	no, no, clear, no,
	no, no,
	fail, fail, fail, fail, fail, fail,
	no, no, no, quitr),
TARGET_ROW(TARGET_LOADING,
	no, Xfail, Xfail, Xfail, Xfail, Xfail, Xfail,
	fail, Xfail, Xfail, Xfail, Xfail, Xfail,
	ready, no, clear, no,
	no, no,
	fail, fail, fail, fail, fail, fail,
	no, no, no, quitr),
TARGET_ROW(TARGET_PREPARED,
	no, Xdoubt, Xdoubt, Xdoubt, Xdoubt, Xdoubt, commit,
	fail, Xdoubt, Xdoubt, Xdoubt, Xdoubt, Xdoubt,
	no, no, doubt, no,
	no, no,
	doubt, cut, cut, cut, doubt, Mdoubt,
	no, no, no, quit),
TARGET_ROW(TARGET_PREPARED_CUT,
	no, Xdoubt, Xdoubt, Xdoubt, Xdoubt, Xdoubt, commitc,
	fail, Xdoubt, Xdoubt, Xdoubt, Xdoubt, Xdoubt,
	no, no, doubt, no,
	no, no,
	doubt, ok, ok, ok, doubt, Mdoubt,
	no, no, no, quit),
TARGET_ROW(TARGET_POSTCOPY,
	no, Xlost, Xlost, Xlost, Xlost, Xlost, Xlost,
	Xlost, ok, Xlost, ok, Xlost, Xlost,
	no, whole, lost, no,
	no, no,
	lost, lost, ok, lost, lost, Mlost,
	Mlost, no, no, quits),
TARGET_ROW(TARGET_WHOLE,
	no, Xunsure, Xunsure, Xunsure, Xunsure, Xunsure, Xunsure,
	Xunsure, Xunsure, ok, ok, sure, Xunsure,
	no, no, unsure, no,
	no, no,
	unsure, ok, ok, ok, unsure, unsure,
	no, no, no, quit),
TARGET_ROW(TARGET_COMPLETED,
	no, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, done, no,
	no, no,
	ok, ok, ok, ok, ok, ok,
	no, no, no, quit),
TARGET_ROW(TARGET_DOUBT,
	no, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, shut, no,
	joinsd, no,
	ok, ok, ok, ok, ok, ok,
	manual, here, fail, quit),
TARGET_ROW(TARGET_LOST,
	no, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, shut, no,
	joins, no,
	ok, ok, ok, ok, ok, ok,
	manual, no, no, quit),
TARGET_ROW(TARGET_REJOIN_DOUBT,
	no, Xdoubt, Xdoubt, Xdoubt, Xdoubt, Xdoubt, Xdoubt,
	fail, Xdoubt, ok, Xdoubt, Xdoubt, Xdoubt,
	no, no, doubt, no,
	no, ready,
	doubt, doubt, doubt, doubt, doubt, Mdoubt,
	Mdoubt, no, no, quit),
TARGET_ROW(TARGET_REJOIN,
	no, Xlost, Xlost, Xlost, Xlost, Xlost, Xlost,
	Xlost, Xlost, ok, Xlost, Xlost, Xlost,
	no, no, lost, no,
	no, again,
	lost, lost, lost, lost, lost, Mlost,
	Mlost, no, no, quith),
TARGET_ROW(TARGET_UNCONFIRMED,
	no, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, shut, no,
	joinsw, no,
	ok, ok, ok, ok, ok, ok,
	no, no, sure, quit),
TARGET_ROW(TARGET_FAILING,
	no, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, clear, listen,
	no, no,
	ok, ok, ok, ok, ok, ok,
	no, no, no, quitr),
TARGET_ROW(TARGET_QUITTING,
	no, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, end, no,
	no, no,
	ok, ok, ok, ok, ok, ok,
	no, no, no, ok),
TARGET_ROW(TARGET_ENDED,
	no, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok, ok,
	no, no, ok, no,
	no, no,
	ok, ok, ok, ok, ok, ok,
	no, no, no, ok),
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
		"redial-doubt", "redial", "abandoned",
		"failing", "cancelling", "failed", "cancelled", "ended",
	};

	return phase < SOURCE_PHASES ? name[phase] : "?";
}

const char *target_phase_name(unsigned phase)
{
	static const char *const name[TARGET_PHASES] = {
		"listening", "setup", "handover", "loading", "prepared",
		"prepared-cut", "postcopy", "whole", "completed", "doubt",
		"lost", "rejoin-doubt", "rejoin", "unconfirmed",
		"failing", "quitting", "ended",
	};

	return phase < TARGET_PHASES ? name[phase] : "?";
}

const char *phase_event_name(unsigned event)
{
	static const char *const name[PHASE_EVENTS - WIRE_MSG_TYPES] = {
		"hold", "commit", "all-sent", "loaded", "whole", "left",
		"discarded", "redial", "rejoined", "peer-runs", "peer-whole",
		"recovered",
		"main-lost", "demand-lost", "push-lost", "pushes-lost",
		"deadline", "violation", "failure",
		"cancel", "pause", "run-here", "give-up", "quit",
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
	       phase == TARGET_COMPLETED || phase == TARGET_LOST ||
	       phase == TARGET_REJOIN || phase == TARGET_UNCONFIRMED;
}

bool source_has_committed(unsigned phase)
{
	return (phase >= SOURCE_COMMITTED && phase <= SOURCE_ABANDONED) ||
	       phase == SOURCE_ENDED;
}

bool source_is_sending(unsigned phase)
{
	return phase <= SOURCE_FINISHING;
}

bool source_is_redialling(unsigned phase)
{
	return phase == SOURCE_REDIAL || phase == SOURCE_REDIAL_DOUBT;
}

bool source_is_parked(unsigned phase)
{
	return phase == SOURCE_DOUBT || phase == SOURCE_LOST;
}

bool target_is_rejoining(unsigned phase)
{
	return phase == TARGET_REJOIN || phase == TARGET_REJOIN_DOUBT;
}

bool target_is_parked(unsigned phase)
{
	return phase == TARGET_DOUBT || phase == TARGET_LOST ||
	       phase == TARGET_UNCONFIRMED;
}

bool target_has_promised(unsigned phase)
{
	return phase >= TARGET_PREPARED && phase <= TARGET_UNCONFIRMED;
}

bool target_has_committed(unsigned phase)
{
	return target_may_run(phase);
}

bool target_is_linked(unsigned phase)
{
	return (phase >= TARGET_SETUP && phase <= TARGET_POSTCOPY &&
		phase != TARGET_PREPARED_CUT) || target_is_rejoining(phase);
}

bool target_serves_faults(unsigned phase)
{
	return (phase >= TARGET_SETUP && phase <= TARGET_POSTCOPY) ||
	       phase == TARGET_DOUBT || phase == TARGET_LOST ||
	       target_is_rejoining(phase);
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
		return EVENT_VIOLATION;
	default:
		return EVENT_FAILURE;
	}
}

enum phase_event phase_loss_of(enum phase_event loss, int rc)
{
	return phase_event_of(rc) == EVENT_VIOLATION ? EVENT_VIOLATION : loss;
}
