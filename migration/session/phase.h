/* SPDX-License-Identifier: MIT */
/*
 * phase.h - The phases of a migration session, as two tables (pure)
 *
 * Each side of a session has exactly one phase. It changes only by
 * source_step() or target_step(), which look up (phase, event) in a table:
 * every event has an entry in every phase. The result is the next phase and
 * the actions that the caller executes (session.c calls them under one lock;
 * source.c and target.c execute the actions).
 *
 * tests/unit/test_phase.c walks both tables completely, and explores their
 * product with all messages, losses and commands: the vCPUs of both sides
 * never run at the same time. docs/protocol.md tells the same as text.
 *
 * A session that has lost its link is in one of the parked phases: DOUBT and
 * LOST on either side, UNCONFIRMED on a destination. Its session thread then
 * has left the stages, has ended the threads of the old link, and waits for
 * EVENT_REDIAL or EVENT_REJOINED, which begin a new link.
 */
#ifndef FERRY_PHASE_H
#define FERRY_PHASE_H

#include <stdbool.h>

#include "migration/wire/wire.h"

/**
 * enum source_phase - Phases of the side that a guest leaves
 * @SOURCE_SETUP: The guest runs here. Connections are opened; the description,
 *	the images and the list of zero pages are sent. Cancel is possible. A
 *	failure only ends the session.
 * @SOURCE_HANDOVER: The guest is held. Its state and what its vCPUs touch
 *	first are sent, within the downtime limit. RAM may be read and requests
 *	are answered. Cancel is possible. A failure resumes the guest here.
 * @SOURCE_PREPARED: As HANDOVER, and the destination has sent PREPARED:
 *	EVENT_COMMIT is possible. It is the point of no return.
 * @SOURCE_COMMITTED: COMMIT may have been sent. The guest never runs here
 *	again, and its RAM does not change again. RUNNING is awaited.
 * @SOURCE_COMMITTED_CUT: As COMMITTED, and the demand connection or a push
 *	connection was lost. The main connection still decides the hand-over.
 * @SOURCE_POSTCOPY: RUNNING was received. Pages are pushed and requests are
 *	answered.
 * @SOURCE_FINISHING: Every page was sent. COMPLETE is awaited on the main
 *	connection, the only one that still matters.
 * @SOURCE_COMPLETED: COMPLETE or ENDED was received, or REPORT has said that
 *	the destination has each page. RAM is not needed.
 * @SOURCE_DOUBT: The link was lost in COMMITTED: the destination may or may not
 *	run the guest. RAM and the ledger are kept. Shown as postcopy-paused.
 * @SOURCE_LOST: The link was lost after RUNNING. RAM and the ledger are kept.
 *	Shown as postcopy-paused.
 * @SOURCE_REDIAL_DOUBT: From DOUBT: a new link is being opened. REPORT says
 *	whether the destination has received COMMIT.
 * @SOURCE_REDIAL: From LOST, or from REDIAL_DOUBT when REPORT has said that the
 *	destination has committed: a new link is being opened. The ledger is
 *	rebuilt from REPORT. Shown as postcopy-recover.
 * @SOURCE_ABANDONED: An operator has given the guest up here after the point of
 *	no return. RAM is not needed.
 * @SOURCE_FAILING: A failure before the point of no return. The session thread
 *	is about to leave its stages and to resume the guest.
 * @SOURCE_CANCELLING: The same after migrate_cancel, or because the process
 *	ends.
 * @SOURCE_FAILED: The guest runs here, as if nothing had happened.
 * @SOURCE_CANCELLED: The same after migrate_cancel.
 * @SOURCE_ENDED: The process ends after the point of no return. Nothing is
 *	reported any more.
 */
enum source_phase {
	SOURCE_SETUP, SOURCE_HANDOVER, SOURCE_PREPARED,
	SOURCE_COMMITTED, SOURCE_COMMITTED_CUT, SOURCE_POSTCOPY,
	SOURCE_FINISHING, SOURCE_COMPLETED, SOURCE_DOUBT, SOURCE_LOST,
	SOURCE_REDIAL_DOUBT, SOURCE_REDIAL, SOURCE_ABANDONED,
	SOURCE_FAILING, SOURCE_CANCELLING, SOURCE_FAILED, SOURCE_CANCELLED,
	SOURCE_ENDED, SOURCE_PHASES
};

/**
 * enum target_phase - Phases of the side that a guest arrives at
 * @TARGET_LISTENING: No source is connected. The only phase in which a HELLO
 *	for the main connection begins a session.
 * @TARGET_SETUP: The machine is built, RAM is registered, images and the list
 *	of zero pages are received. A failure discards everything.
 * @TARGET_HANDOVER: The source's guest is held. State, lists and the first
 *	pages are received; nothing is loaded. A failure discards everything.
 * @TARGET_LOADING: All has been read; it is loaded. Loading may wait for pages:
 *	a failure unregisters RAM, so that the loading thread goes on. What was
 *	loaded then may be wrong, and the machine is discarded.
 * @TARGET_PREPARED: PREPARED was sent, or is about to be. The machine is kept
 *	whatever happens to the link. No vCPU runs before COMMIT.
 * @TARGET_PREPARED_CUT: As PREPARED, and the demand connection or a push
 *	connection was lost. Only the main connection can tell what the source
 *	has decided: COMMIT or REFUSE is awaited.
 * @TARGET_POSTCOPY: COMMIT was received. The vCPUs run; pages arrive.
 * @TARGET_WHOLE: Every page is in place. RAM is unregistered and COMPLETE or
 *	REPORT is sent. CONFIRMED is awaited. A loss is no harm to the guest.
 * @TARGET_COMPLETED: The guest is an ordinary guest of this machine.
 * @TARGET_DOUBT: The link was lost in PREPARED: the source may or may not have
 *	committed. The machine is kept and does not run. Shown as
 *	postcopy-paused.
 * @TARGET_LOST: The link was lost after COMMIT, or an operator has decided in
 *	DOUBT that the guest runs here. vCPUs run until they touch a missing
 *	page. Shown as postcopy-paused.
 * @TARGET_REJOIN_DOUBT: From DOUBT: the source has opened a new link. The vCPUs
 *	do not run. COMMIT follows after PREPARED is reached again, or REFUSE.
 * @TARGET_REJOIN: From LOST: the source has opened a new link. The vCPUs run.
 *	Shown as postcopy-recover.
 * @TARGET_UNCONFIRMED: As WHOLE, and the link was lost before CONFIRMED came:
 *	the source may not know that the guest is whole. The listener stays, so
 *	that it can ask. Shown as completed.
 * @TARGET_FAILING: A failure before PREPARED. The session thread is about to
 *	leave its stages and to discard the machine.
 * @TARGET_QUITTING: The process ends.
 * @TARGET_ENDED: No thread of the session runs any more.
 */
enum target_phase {
	TARGET_LISTENING, TARGET_SETUP, TARGET_HANDOVER, TARGET_LOADING,
	TARGET_PREPARED, TARGET_PREPARED_CUT, TARGET_POSTCOPY, TARGET_WHOLE,
	TARGET_COMPLETED, TARGET_DOUBT, TARGET_LOST,
	TARGET_REJOIN_DOUBT, TARGET_REJOIN, TARGET_UNCONFIRMED, TARGET_FAILING,
	TARGET_QUITTING, TARGET_ENDED, TARGET_PHASES
};

/**
 * enum phase_event - What can happen to a session
 *
 * Events below WIRE_MSG_TYPES are messages: enum wire_type, received on the
 * main connection (on a destination HELLO is reported after the greeting was
 * checked). A message of the wrong type on another connection is
 * EVENT_VIOLATION.
 *
 * @EVENT_HOLD:	source: the guest is about to be held
 * @EVENT_COMMIT: source: decide to commit. The point of no return. In
 *	REDIAL_DOUBT: REPORT has said that the destination has not received
 *	COMMIT, so it is sent once more
 * @EVENT_ALL_SENT: source: every page was sent
 * @EVENT_LOADED: destination: lists and state are loaded: promise to run
 * @EVENT_WHOLE: destination: no page is missing
 * @EVENT_LEFT:	the session thread has left its stages
 * @EVENT_DISCARDED: destination: what a failed session left is freed
 * @EVENT_REDIAL: source: open a new link (command, or the retry timer)
 * @EVENT_REJOINED: destination: a HELLO that resumes this session was accepted
 * @EVENT_PEER_RUNS: source: REPORT has said that the destination has committed
 * @EVENT_PEER_WHOLE: source: REPORT has said that it has every page
 * @EVENT_RECOVERED: the new link is complete, its threads are created
 * @EVENT_MAIN_LOST, @EVENT_DEMAND_LOST: that connection ended
 * @EVENT_PUSH_LOST: a push connection ended, and others are left
 * @EVENT_PUSHES_LOST: the last push connection ended
 * @EVENT_DEADLINE: a wait took too long
 * @EVENT_VIOLATION: the peer sent what it must not send
 * @EVENT_FAILURE: this side can't go on: memory, a system call
 * @EVENT_CANCEL: migrate_cancel
 * @EVENT_PAUSE: migrate-pause
 * @EVENT_RUN_HERE: ferry-resolve: the other side is gone for good, and the
 *	guest shall run on this one
 * @EVENT_GIVE_UP: ferry-resolve: it shall not run on this one; in UNCONFIRMED
 *	also the timer: the source will not ask any more
 * @EVENT_QUIT:	the process ends
 */
enum phase_event {
	EVENT_HOLD = WIRE_MSG_TYPES, EVENT_COMMIT, EVENT_ALL_SENT,
	EVENT_LOADED, EVENT_WHOLE, EVENT_LEFT, EVENT_DISCARDED,
	EVENT_REDIAL, EVENT_REJOINED, EVENT_PEER_RUNS, EVENT_PEER_WHOLE,
	EVENT_RECOVERED,
	EVENT_MAIN_LOST, EVENT_DEMAND_LOST, EVENT_PUSH_LOST, EVENT_PUSHES_LOST,
	EVENT_DEADLINE, EVENT_VIOLATION, EVENT_FAILURE,
	EVENT_CANCEL, EVENT_PAUSE, EVENT_RUN_HERE, EVENT_GIVE_UP, EVENT_QUIT,
	PHASE_EVENTS
};

/**
 * enum phase_action - What the caller of a step executes, in this order
 * @PHASE_REJECT: the event is not allowed in this phase. A milestone or a
 *	command has no effect; a message is a violation by the peer
 * @PHASE_BLAME: the event's cause becomes the session's error
 * @PHASE_DOUBT: and it says that the hand-over is in doubt
 * @PHASE_RELEASE: destination: unregister RAM, so that no thread waits for a
 *	page
 * @PHASE_HANG_UP: stop receiving on the main connection, shut the others:
 *	REFUSE can still be sent
 * @PHASE_SHUT:	shut every connection of the link
 * @PHASE_RESUME: source: the guest runs here again, if it ran before
 * @PHASE_REFUSE: send REFUSE with the session's error, then shut the link
 * @PHASE_DISCARD: destination: free the machine, close the link
 * @PHASE_RUN:	destination: the guest is here now; its vCPUs run
 * @PHASE_CLOSE: end the threads that use the link, close it; destination: stop
 *	listening, free the page table
 * @PHASE_SHOW:	show the new phase to clients
 * @PHASE_MANUAL: only an operator lets the session open a link again
 * @PHASE_ENDED: destination: tell the source that the guest has ended here;
 *	source: the guest has ended there
 */
enum phase_action {
	PHASE_REJECT	= 1 << 0,
	PHASE_BLAME	= 1 << 1,
	PHASE_RELEASE	= 1 << 2,
	PHASE_HANG_UP	= 1 << 3,
	PHASE_SHUT	= 1 << 4,
	PHASE_RESUME	= 1 << 5,
	PHASE_REFUSE	= 1 << 6,
	PHASE_DISCARD	= 1 << 7,
	PHASE_RUN	= 1 << 8,
	PHASE_CLOSE	= 1 << 9,
	PHASE_SHOW	= 1 << 10,
	PHASE_DOUBT	= 1 << 11,
	PHASE_MANUAL	= 1 << 12,
	PHASE_ENDED	= 1 << 13,
};

/**
 * struct phase_step - Result of a step
 * @next:	the new phase, enum source_phase or enum target_phase
 * @actions:	enum phase_action values, combined with |
 * @known:	the table has an entry; false only for arguments out of range
 */
struct phase_step {
	unsigned next, actions;
	bool known;
};

/**
 * source_step() - What an event means to a source
 * @phase:	enum source_phase
 * @event:	enum phase_event, or an enum wire_type
 *
 * Return: the step; for arguments out of range the same phase, rejected
 */
struct phase_step source_step(unsigned phase, unsigned event);

/** target_step() - What an event means to a destination; as source_step() */
struct phase_step target_step(unsigned phase, unsigned event);

/** source_phase_name() - The phase for logs and tests; "?" if out of range */
const char *source_phase_name(unsigned phase);

/** target_phase_name() - The same for a destination */
const char *target_phase_name(unsigned phase);

/** phase_event_name() - The event for logs and tests; "?" if out of range */
const char *phase_event_name(unsigned event);

/** source_may_run() - May the guest's vCPUs run on a source in this phase? */
bool source_may_run(unsigned phase);

/** target_may_run() - May they run on a destination in this phase? */
bool target_may_run(unsigned phase);

/** source_has_committed() - Is the point of no return passed? */
bool source_has_committed(unsigned phase);

/**
 * source_is_sending() - May bulk be sent in this phase?
 *
 * False once the link is lost, a cancel was requested, or the process ends.
 */
bool source_is_sending(unsigned phase);

/** source_is_redialling() - Is a new link being opened? */
bool source_is_redialling(unsigned phase);

/** source_is_parked() - Does the session thread wait for a new link? */
bool source_is_parked(unsigned phase);

/** target_is_rejoining() - Is a new link being completed? */
bool target_is_rejoining(unsigned phase);

/** target_is_parked() - Does the session thread wait for a new link? */
bool target_is_parked(unsigned phase);

/** target_has_promised() - Was PREPARED sent, so that the machine is kept? */
bool target_has_promised(unsigned phase);

/** target_has_committed() - Was COMMIT received? */
bool target_has_committed(unsigned phase);

/** target_is_linked() - Can a request still be sent to the source? */
bool target_is_linked(unsigned phase);

/** target_serves_faults() - Must the fault thread run in this phase? */
bool target_serves_faults(unsigned phase);

/** phase_event_of() - The event that a stage's -errno means on main */
enum phase_event phase_event_of(int rc);

/**
 * phase_loss_of() - The event that the end of another connection means
 * @loss:	the event of that connection
 * @rc:		-errno of the thread that has used it
 *
 * Return: @loss; EVENT_VIOLATION if the peer sent there what it must not send
 */
enum phase_event phase_loss_of(enum phase_event loss, int rc);

#endif /* FERRY_PHASE_H */
