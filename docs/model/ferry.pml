/* SPDX-License-Identifier: MIT */
/*
 * ferry.pml - Hand-over and recovery of one session, for the model checker spin
 *
 * "make model" checks it. What a phase makes of an event is not written here:
 * phase.pml is generated from migration/session/phase.c. This file has what is
 * around it: the order of the messages, the network, and the operators.
 *
 * A step of a side is one event: its table decides the next phase and the
 * actions, then the actions are executed, and the session thread sends what its
 * stage sends next. Threads of one side are events that interleave.
 *
 * Time. Until the network is calm, anything may happen at any moment: a loss, a
 * deadline, a failure, the end of either process, and commands of an operator
 * on either side. At any moment all of this may end for good ("calm"). So a
 * property of the form "calm implies that eventually ..." holds from every
 * state that can be reached.
 *
 * Network. A link is its main connection, a queue in each direction. The pages
 * under way are a set, because they travel on other connections. A link that is
 * cut delivers any part of what was sent before, and nothing that is sent
 * after. Each side finds out on its own. A greeting (HELLO) waits at the
 * destination's listener; the source may have abandoned it ("late").
 *
 * Epochs. Of all greetings only the order matters: the source's present one has
 * the highest epoch, an abandoned one is older. When the destination accepts
 * the present one, every older one is stale, and is refused.
 *
 * Operators obey docs/failure.md: "ferry resolve --run-here" on a side that is
 * in doubt only if the other process has ended, or has given the guest up. In
 * any other phase they may try it at any moment, and the table must refuse it.
 *
 * Left out: the messages before ZERO_LIST, precopy passes and DISCARD (no phase
 * changes by them, and the hand-over is the same), heartbeats, the demand connection
 * (its loss is an event), and whether a session retries by itself or waits for
 * an operator (PHASE_MANUAL).
 *
 * Mutations (tests/model/model.py): each macro that begins with BREAK_ removes
 * one rule, and spin must then report an error.
 */

#include "phase.pml"

#define ALL_PAGES	3	/* two pages, a bit for each */

/* A greeting */
#define NEW		1	/* of a new session */
#define AGAIN		2	/* it resumes the session */

/* What REPORT says; the pages that the destination has are above */
#define HEARD		1
#define COMMITTED	2
#define WHOLE		4
#define PAGES_SHIFT	4

/* A session thread */
#define IDLE		0	/* listening, or ended */
#define WALKING		1	/* walks through the stages of a link */
#define LEAVING		2	/* its stage has failed, or is over */
#define PARKED		3	/* waits for the next link */

byte source = SOURCE_SETUP;
byte target = TARGET_LISTENING;
bool source_runs = true, target_runs;	/* its vCPUs run */
byte source_thread = WALKING, target_thread;

/* The link: "up" while the network carries it and both ends are open */
chan to_target = [3] of { byte };
chan to_source = [3] of { byte, byte };
bool up, source_end, target_end;
bool source_deaf, target_deaf;	/* PHASE_HANG_UP: may send, hears nothing */
byte dial = NEW;		/* the source's greeting, not answered yet */
byte late;			/* one that the source has abandoned */
bool turned_away;		/* the listener has refused the greeting */

byte sent, acked;		/* source: the ledger, CHUNK_ACK received */
byte flying;			/* pages on push connections */
byte have;			/* destination: pages placed */
byte report;			/* source: REPORT, until it was acted upon */
bool ready;			/* source: READY was received */
bool resumed;			/* destination: RESUME was answered */
bool done;			/* destination: DONE was received */
bool owed;			/* PREPARE was sent: if the guest goes on at the
				 * source, the destination must learn that */
bool quits;			/* source: the process ends after the resume */
bool gave_up;			/* the destination's operator gave it up */
bool expired;			/* ferry-confirm-timeout */
bool calm;

/* Of the step that is executed; 0 between steps */
byte event, word;
short did;

c_decl {
	static unsigned char seen_source[256], seen_target[256];
}

#define SOURCE_LIVES	(source != SOURCE_ENDED && \
			 source != SOURCE_ABANDONED && !quits)
#define TARGET_LIVES	(target != TARGET_ENDED && target != TARGET_QUITTING)
#define WENT_ON		(source == SOURCE_FAILED || source == SOURCE_CANCELLED)
#define REDIALLING	(source == SOURCE_REDIAL || \
			 source == SOURCE_REDIAL_DOUBT)
#define REJOINING	(target == TARGET_REJOIN || \
			 target == TARGET_REJOIN_DOUBT)
#define SOURCE_WALKS	(source <= SOURCE_FINISHING || REDIALLING)
#define TARGET_WALKS	(target >= TARGET_SETUP && target <= TARGET_WHOLE || \
			 REJOINING)
#define SOURCE_PARKS	(source == SOURCE_DOUBT || source == SOURCE_LOST)
#define TARGET_PARKS	(target == TARGET_DOUBT || target == TARGET_LOST || \
			 target == TARGET_UNCONFIRMED)

/* The guest is complete on one side, and no side waits for the other */
#define AT_SOURCE	(WENT_ON && source_runs && !owed && \
			 target == TARGET_LISTENING)
#define AT_TARGET	(target_runs && target == TARGET_COMPLETED && \
			 have == ALL_PAGES && \
			 (source == SOURCE_COMPLETED || expired))
/* The destination's operator gave it up, the source's lets it run there */
#define DECIDED		(gave_up && WENT_ON && source_runs)
#define SETTLED		(AT_SOURCE || AT_TARGET || DECIDED)

ltl ends_complete { [] ((calm && SOURCE_LIVES && TARGET_LIVES) ->
			<> SETTLED) }

inline say_to_target(m)
{
	if
	:: up -> assert(nfull(to_target)); to_target!m
	:: else
	fi
}

inline say_to_source(m, contents)
{
	if
	:: up -> assert(nfull(to_source)); to_source!m,contents
	:: else
	fi
}

inline empty_to_target()
{
	do
	:: len(to_target) > 0 -> to_target?_
	:: len(to_target) == 0 -> break
	od
}

inline empty_to_source()
{
	do
	:: len(to_source) > 0 -> to_source?_,_
	:: len(to_source) == 0 -> break
	od
}

inline check()
{
	assert(!(source_runs && target_runs));
	assert(!source_runs || SOURCE_MAY_RUN(source));
	assert(!target_runs || TARGET_MAY_RUN(target) ||
	       target == TARGET_QUITTING)
}

/* ---- The source ---- */

inline close_source_end()
{
	source_end = false; source_deaf = false; up = false; report = 0;
	empty_to_source();
	if
	:: dial -> late = dial; dial = 0; turned_away = false
	:: else
	fi
}

inline source_perform()
{
	if
	:: did & PHASE_HANG_UP -> source_deaf = true; empty_to_source()
	:: else
	fi;
	if
	:: did & PHASE_SHUT -> close_source_end()
	:: else
	fi;
	if
	:: did & PHASE_RESUME -> source_runs = true
	:: else
	fi;
	if
	:: did & PHASE_REFUSE -> say_to_target(MSG_REFUSE); close_source_end()
	:: else
	fi;
	if
	:: did & PHASE_CLOSE -> close_source_end()
	:: else
	fi
}

/* The destination may have promised before PREPARED arrives here */
#ifdef BREAK_REFUSE_LATE
#define OWED_FROM_PREPARE	false
#else
#define OWED_FROM_PREPARE	true
#endif

/* REFUSE on a new link. A greeting that follows would overtake it: wait */
inline deliver_refuse()
{
	say_to_target(MSG_REFUSE);
#ifdef BREAK_REFUSE_UNSURE
	owed = false;
#endif
#ifdef BREAK_REFUSE_OVERTAKEN
	close_source_end()
#else
	skip
#endif
}

inline read_report()
{
	report = word | HEARD;
#ifndef BREAK_LEDGER
	sent = word >> PAGES_SHIFT; acked = sent
#endif
}

/* What the session thread does when the table has accepted an event */
inline source_stage()
{
	if
	:: event == MSG_WELCOME && source == SOURCE_SETUP ->
		say_to_target(MSG_ZERO_LIST)
	:: event == MSG_WELCOME && REDIALLING -> say_to_target(MSG_RESUME)
	:: event == MSG_WELCOME && WENT_ON -> deliver_refuse()
	:: event == MSG_READY -> ready = true
	:: event == EVENT_HOLD ->
		source_runs = false; ready = false; owed = OWED_FROM_PREPARE;
		say_to_target(MSG_STATE); say_to_target(MSG_PREPARE)
	:: event == MSG_PREPARED && source == SOURCE_PREPARED -> owed = true
	:: event == EVENT_COMMIT && !report -> say_to_target(MSG_COMMIT)
	:: event == EVENT_COMMIT && report ->
		report = 0;
#ifndef BREAK_COMMIT_ONCE
		say_to_target(MSG_COMMIT)
#endif
	:: event == EVENT_ALL_SENT -> say_to_target(MSG_DONE)
	:: event == MSG_COMPLETE -> say_to_target(MSG_CONFIRMED)
	:: event == EVENT_PEER_WHOLE ->
		report = 0; say_to_target(MSG_CONFIRMED)
	:: event == MSG_REPORT && REDIALLING -> read_report()
	:: event == EVENT_RECOVERED -> report = 0
	:: event == EVENT_PUSH_LOST && source == SOURCE_POSTCOPY ->
		sent = acked; flying = 0
	:: event == EVENT_LEFT ->
		ready = false;
		source_thread = (SOURCE_PARKS -> PARKED : IDLE)
	:: event == EVENT_QUIT && source == SOURCE_CANCELLING -> quits = true
	:: event == EVENT_QUIT && WENT_ON -> quits = true
	:: event == MSG_REFUSE && WENT_ON ->
		owed = false	/* no session waits there any more */
	:: else
	fi
}

#ifdef BREAK_ACK
#define ALL_IS_SENT	(sent == ALL_PAGES)
#else
#define ALL_IS_SENT	(acked == ALL_PAGES)
#endif

active proctype source_side()
{
end:	do
	:: atomic {
		if
		/* Messages, and the end of the connection */
		:: source_end && !source_deaf && !report && nempty(to_source) ->
			to_source?event,word
		:: source_end && !up && (!calm || empty(to_source)) ->
			close_source_end(); event = EVENT_MAIN_LOST
		/* The greeting: refused, or no answer */
		:: turned_away ->
			turned_away = false; dial = 0; event = MSG_REFUSE
		:: dial && !turned_away &&
		   (!calm || target == TARGET_ENDED) ->
			late = dial; dial = 0; event = EVENT_DEADLINE
		/* Milestones */
		:: source == SOURCE_SETUP && ready -> event = EVENT_HOLD
#ifdef BREAK_COMMIT_EARLY
		:: source == SOURCE_HANDOVER -> event = EVENT_COMMIT
#endif
		:: source == SOURCE_PREPARED -> event = EVENT_COMMIT
		:: source == SOURCE_POSTCOPY && ALL_IS_SENT ->
			event = EVENT_ALL_SENT
		:: (report & WHOLE) && REDIALLING -> event = EVENT_PEER_WHOLE
		:: (report & (COMMITTED | WHOLE)) == COMMITTED &&
		   source == SOURCE_REDIAL_DOUBT -> event = EVENT_PEER_RUNS
		:: (report & (COMMITTED | WHOLE)) == COMMITTED &&
		   source == SOURCE_REDIAL -> event = EVENT_RECOVERED
		:: report == (report & ~(COMMITTED | WHOLE)) && report &&
		   source == SOURCE_REDIAL_DOUBT -> event = EVENT_COMMIT
		:: source_thread == LEAVING -> event = EVENT_LEFT
		:: source_thread == PARKED && !SOURCE_PARKS && !REDIALLING ->
			event = EVENT_LEFT
		/* Recovery: a timer, or the operator's command */
		:: SOURCE_PARKS && (!calm || source_thread == PARKED) &&
		   !(calm && gave_up) -> event = EVENT_REDIAL
		/* Trouble */
		:: !calm && (source_end || dial) -> event = EVENT_FAILURE
		:: !calm && source_end -> event = EVENT_DEADLINE
		:: !calm && source_end -> event = EVENT_VIOLATION
		:: !calm && source_end -> event = EVENT_DEMAND_LOST
		:: !calm && source_end -> event = EVENT_PUSH_LOST
		:: !calm && source_end -> event = EVENT_PUSHES_LOST
		/* The operator */
		:: !calm && source != SOURCE_ENDED -> event = EVENT_CANCEL
		:: !calm && source != SOURCE_ENDED -> event = EVENT_PAUSE
		:: !calm && source != SOURCE_ENDED -> event = EVENT_QUIT
		:: !calm && source != SOURCE_ENDED -> event = EVENT_GIVE_UP
		:: !calm && source != SOURCE_DOUBT &&
		   source != SOURCE_REDIAL_DOUBT && source != SOURCE_ENDED ->
			event = EVENT_RUN_HERE
		:: (!calm && source == SOURCE_REDIAL_DOUBT ||
		    (!calm || gave_up) && source == SOURCE_DOUBT) &&
		   (target == TARGET_ENDED || gave_up) ->
			event = EVENT_RUN_HERE
		fi;
		d_step {
			source_table(event);
			c_code { if (!seen_source[now.source]++)
				printf("reached source %d\n", now.source); };
			if
			:: did & PHASE_REJECT ->
				if
				:: event >= EVENT_HOLD
				:: else -> source_perform()
				fi
			:: else ->
				source_perform();
				source_stage()
			fi;
			if
			:: source_thread == WALKING && !SOURCE_WALKS ->
				source_thread = LEAVING
			:: else
			fi;
			printf("source: event %d, phase %d\n", event, source);
			check();
			event = 0; did = 0; word = 0
		}
	   }
	/* The session thread begins a link */
	:: d_step { source_thread == PARKED && REDIALLING ->
		source_thread = WALKING; dial = AGAIN;
		printf("process: the source greets\n") }
	/* The push threads */
	:: d_step { source == SOURCE_POSTCOPY && !(sent & 1) ->
		sent = sent | 1; flying = flying | (up -> 1 : 0);
		printf("page: 0 is sent\n") }
	:: d_step { source == SOURCE_POSTCOPY && !(sent & 2) ->
		sent = sent | 2; flying = flying | (up -> 2 : 0);
		printf("page: 1 is sent\n") }
	:: d_step { source == SOURCE_POSTCOPY && up && (sent & have & ~acked) ->
		acked = acked | (sent & have);
		printf("page: what has arrived is acknowledged\n") }
#ifndef BREAK_REFUSE_ONCE
	/* It failed, and can't be sure that REFUSE has arrived */
	:: d_step { WENT_ON && owed && source_thread == IDLE && !source_end &&
		    !dial && !quits ->
		dial = AGAIN;
		printf("process: the source greets, to deliver REFUSE\n") }
#endif
	/* The process ends, or is killed at any moment */
	:: d_step { quits && WENT_ON && source_thread == IDLE ->
		source = SOURCE_ENDED; source_runs = false; quits = false;
		owed = false; close_source_end();
		printf("process: the source has ended\n") }
	:: d_step { !calm && source != SOURCE_ENDED ->
		source = SOURCE_ENDED; source_runs = false; quits = false;
		source_thread = IDLE; ready = false; owed = false;
		close_source_end();
		printf("process: the source is killed\n") }
	od
}

/* ---- The destination ---- */

inline close_target_end()
{
	target_end = false; target_deaf = false; up = false; done = false;
	resumed = false; empty_to_target(); flying = 0
}

inline target_perform()
{
	if
	:: did & PHASE_HANG_UP ->
		target_deaf = true; empty_to_target(); flying = 0
	:: else
	fi;
	if
	:: did & PHASE_SHUT -> close_target_end()
	:: else
	fi;
	if
	:: did & PHASE_REFUSE -> say_to_source(MSG_REFUSE, 0)
	:: else
	fi;
	if
	:: did & PHASE_ENDED -> say_to_source(MSG_ENDED, 0)
	:: else
	fi;
	if
	:: did & PHASE_DISCARD ->
		close_target_end(); target_runs = false; have = 0
	:: else
	fi;
	if
	:: did & PHASE_RUN -> target_runs = true
	:: else
	fi;
	if
	:: did & PHASE_CLOSE -> close_target_end()
	:: else
	fi
}

#define REPORT_WORD	((have << PAGES_SHIFT) | \
			 (target_runs -> COMMITTED : 0) | \
			 (target == TARGET_WHOLE -> WHOLE : 0))

inline target_stage()
{
	if
	:: event == MSG_ZERO_LIST -> say_to_source(MSG_READY, 0)
	:: event == EVENT_LOADED -> say_to_source(MSG_PREPARED, 0)
	:: event == MSG_COMMIT -> say_to_source(MSG_RUNNING, 0)
	:: event == MSG_DONE -> done = true
	:: event == EVENT_WHOLE -> say_to_source(MSG_COMPLETE, 0)
	:: event == MSG_RESUME ->
		say_to_source(MSG_REPORT, REPORT_WORD);
		resumed = REJOINING
	:: event == EVENT_RECOVERED -> resumed = false
	:: event == EVENT_LEFT ->
		target_thread = (TARGET_PARKS -> PARKED : IDLE)
	:: event == EVENT_REJOINED -> target_thread = WALKING
	:: event == MSG_HELLO -> target_thread = WALKING
	:: event == EVENT_GIVE_UP && target == TARGET_FAILING ->
		gave_up = true
	:: event == EVENT_GIVE_UP && target == TARGET_COMPLETED ->
		expired = true
	:: else
	fi
}

/* The listener takes a greeting: the present one, or an abandoned one */
inline accept(greeting, is_present)
{
	empty_to_target(); flying = 0; done = false; resumed = false;
	target_end = true; target_deaf = false;
	up = is_present;
	event = (greeting == NEW -> MSG_HELLO : EVENT_REJOINED);
	if
	:: is_present ->
		empty_to_source();
		source_end = true; source_deaf = false;
		to_source!MSG_WELCOME,0; dial = 0; late = 0
	:: else -> late = 0
	fi
}

#define MAY_ACCEPT(greeting) \
	(greeting == NEW && target == TARGET_LISTENING || \
	 greeting == AGAIN && TARGET_PARKS && target_thread == PARKED)
/* Proof that the source has lost the link that this side still has */
#ifdef BREAK_REFUSED_EARLY
#define TARGET_NOT_YET	(target == TARGET_SETUP || \
			 target == TARGET_HANDOVER || target == TARGET_LOADING)
#else
#define TARGET_NOT_YET	false
#endif
#define SUPERSEDES(greeting) \
	(greeting == AGAIN && TARGET_WALKS && target_end && !TARGET_NOT_YET)
#define MUST_REFUSE(greeting) \
	(greeting == NEW && target != TARGET_LISTENING && \
	 target != TARGET_FAILING || \
	 greeting == AGAIN && (target == TARGET_LISTENING || \
			       target == TARGET_COMPLETED || TARGET_NOT_YET))

#ifdef BREAK_OPERATOR
#define SOURCE_IS_GONE	true
#else
#define SOURCE_IS_GONE	(source == SOURCE_ENDED || source == SOURCE_ABANDONED)
#endif

active proctype target_side()
{
end:	do
	:: atomic {
		if
		/* Greetings */
		:: dial && !turned_away && MAY_ACCEPT(dial) ->
			accept(dial, true)
		:: late && MAY_ACCEPT(late) -> accept(late, false)
		:: dial && !turned_away && SUPERSEDES(dial) ->
			close_target_end(); event = EVENT_MAIN_LOST
		:: late && SUPERSEDES(late) && !up ->
			close_target_end(); event = EVENT_MAIN_LOST
#ifdef BREAK_EPOCH
		/* A greeting of an old epoch is sent once more, by anybody */
		:: SUPERSEDES(AGAIN) ->
			close_target_end(); event = EVENT_MAIN_LOST
#endif
		/* Messages, and the end of the connection */
		:: target_end && !target_deaf && !resumed &&
		   nempty(to_target) && !(flying && to_target?[MSG_DONE]) ->
			to_target?event
		:: target_end && !up &&
		   (!calm || empty(to_target) && !flying) ->
			close_target_end(); event = EVENT_MAIN_LOST
		/* Milestones */
		:: target == TARGET_LOADING -> event = EVENT_LOADED
		:: target == TARGET_POSTCOPY && done ->
			assert(have == ALL_PAGES);
			event = EVENT_WHOLE
		:: resumed -> event = EVENT_RECOVERED
		:: target_thread == LEAVING -> event = EVENT_LEFT
		:: target_thread == PARKED && !TARGET_PARKS && !TARGET_WALKS ->
			event = EVENT_LEFT
		:: target == TARGET_FAILING && target_thread == IDLE ->
			event = EVENT_DISCARDED
		/* Nobody asks any more: ferry-confirm-timeout */
		:: target == TARGET_UNCONFIRMED &&
		   (!calm || source == SOURCE_COMPLETED) ->
			event = EVENT_GIVE_UP
		/* Trouble */
		:: !calm && target_end -> event = EVENT_FAILURE
		:: !calm && target_end -> event = EVENT_DEADLINE
		:: !calm && target_end -> event = EVENT_VIOLATION
		:: !calm && target_end -> event = EVENT_DEMAND_LOST
		:: !calm && target_end -> event = EVENT_PUSH_LOST
		:: !calm && target_end -> event = EVENT_PUSHES_LOST
		/* The operator */
		:: !calm && target != TARGET_ENDED -> event = EVENT_PAUSE
		:: !calm && target != TARGET_ENDED -> event = EVENT_QUIT
		:: !calm && target != TARGET_ENDED -> event = EVENT_GIVE_UP
		:: !calm && target != TARGET_DOUBT &&
		   target != TARGET_REJOIN_DOUBT && target != TARGET_ENDED ->
			event = EVENT_RUN_HERE
		:: !calm && (target == TARGET_DOUBT ||
			     target == TARGET_REJOIN_DOUBT) &&
		   SOURCE_IS_GONE -> event = EVENT_RUN_HERE
		fi;
		d_step {
			target_table(event);
			c_code { if (!seen_target[now.target]++)
				printf("reached target %d\n", now.target); };
			if
			:: did & PHASE_REJECT ->
				if
				:: event >= EVENT_HOLD
				:: else -> target_perform()
				fi
			:: else ->
				target_perform();
				target_stage()
			fi;
			if
			:: target_thread == WALKING && !TARGET_WALKS ->
				target_thread = LEAVING
			:: else
			fi;
			printf("target: event %d, phase %d\n", event, target);
			check();
			event = 0; did = 0
		}
	   }
	/* The receive and fault threads */
	:: d_step { target == TARGET_POSTCOPY && (flying & 1) ->
		have = have | 1; flying = flying & ~1;
		printf("page: 0 is placed\n") }
	:: d_step { target == TARGET_POSTCOPY && (flying & 2) ->
		have = have | 2; flying = flying & ~2;
		printf("page: 1 is placed\n") }
	/* The listener */
	:: d_step { dial && !turned_away && MUST_REFUSE(dial) ->
		turned_away = true;
		printf("process: the destination refuses the greeting\n") }
	:: d_step { late && MUST_REFUSE(late) -> late = 0 }
	/* The process is killed at any moment */
	:: d_step { !calm && target != TARGET_ENDED ->
		target = TARGET_ENDED; target_runs = false;
		target_thread = IDLE; close_target_end();
		printf("process: the destination is killed\n") }
	od
}

/* ---- The network ---- */

active proctype network()
{
	do
	:: d_step { !calm && up -> up = false;
		printf("network: the link is cut\n") }
	:: d_step { !calm && late -> late = 0;
		printf("network: the late greeting is lost\n") }
	:: d_step { !calm && flying -> flying = 0; up = false;
		printf("network: the link is cut, pages are lost\n") }
	:: d_step { !calm -> calm = true;
		printf("network: calm from here on\n") }; break
	od
#ifndef ONLY_BOTH_RUN
	/* No process can make a step any more */
	; timeout -> assert(!SOURCE_LIVES || !TARGET_LIVES || SETTLED)
#endif
}
