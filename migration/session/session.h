/* SPDX-License-Identifier: MIT */
/*
 * session.h - One move of one guest: what both sides have in common
 *
 * A session has an id, a phase (phase.h), and pages: a ledger on the source, a
 * page table on the destination. It outlives its link (link.h): the loss of
 * every connection is an event of the session.
 *
 * Any thread reports an event by session_event(). The phase changes under one
 * lock by the side's pure step function; the actions that the step returns are
 * executed by the thread that reported the event, by the side's perform
 * function, without the lock. Events that only the session thread reports
 * (milestones, EVENT_LEFT) carry the actions that only it may execute.
 */
#ifndef FERRY_SESSION_H
#define FERRY_SESSION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "migration/link/link.h"
#include "migration/wire/wire.h"
#include "phase.h"
#include "progress.h"
#include "vmm/machine/machine.h"

/**
 * struct session_limits - How long waits may take, ms
 * @connect_ms:	source: to resolve, to connect, and for each WELCOME
 * @hello_ms:	destination: for a connection's HELLO, and for the connections
 *		that the source opens after BUILT, each
 * @build_ms:	source: for BUILT and READY
 * @silence_ms:	for any progress of a send or a receive that is due
 * @answer_ms:	destination: for the answer to a REQUEST
 * @last_pages_ms: destination: for pages that are missing after DONE
 * @downtime_ms: source: from holding the guest to PREPARED, in all
 * @beat_ms:	between two BEAT messages
 * @dead_peer_ms: for the peer's host to acknowledge bytes or a probe; for a
 *		whole message on main while pages are sent, for COMMIT, RUNNING
 *		and CONFIRMED
 * @confirm_ms:	destination: for a source that asks whether the guest is whole
 * @automatic:	no limit: source: open a new link without an operator
 *
 * A change has effect on waits that begin after it.
 */
struct session_limits {
	_Atomic unsigned connect_ms, hello_ms, build_ms, silence_ms, answer_ms,
		last_pages_ms, downtime_ms, beat_ms, dead_peer_ms, confirm_ms;
	_Atomic bool automatic;
};

#define SESSION_GOODBYE_MS	500	/* for a REFUSE that need not arrive */

/** session_limits_init() - The defaults (docs/protocol.md has them) */
void session_limits_init(struct session_limits *l);

/**
 * struct session_env - What a session needs of the process around it
 * @ctx:	for the functions
 * @observer:	for a machine that arrives
 * @backing:	kind of RAM for a machine that arrives (enum ram_backing), or
 *		-1: as on the source
 * @adopt:	the machine is the process's now; NULL: it has none any more.
 *		Returns when no command uses the machine before it
 * @tls:	for tls: URIs; copied when a session is created. NULL: the
 *		defaults
 * @set_side:	"source", "destination" or "none", a literal
 * @ending:	the process ends: a wait for the name service is given up.
 *		NULL: never
 */
struct session_env {
	void *ctx;
	struct machine_observer observer;
	int backing;
	const struct tls_config *tls;
	void (*adopt)(void *ctx, struct machine *m);
	void (*set_side)(void *ctx, const char *side);
	bool (*ending)(void *ctx);
};

struct session;

/**
 * struct session_ops - What the two sides do differently
 * @step:	source_step() or target_step()
 * @perform:	execute enum phase_action values
 * @show:	show a phase: the machine's status, and the log; returns the
 *		status for clients. Called under @show_lock
 */
struct session_ops {
	struct phase_step (*step)(unsigned phase, unsigned event);
	void (*perform)(struct session *se, unsigned actions);
	enum progress_status (*show)(struct session *se, unsigned phase);
};

/**
 * struct session - See above
 * @ops:	the side's
 * @env:	the process around it
 * @limits:	of waits
 * @progress:	what clients see
 * @id:		names the session on all connections
 * @secret:	made by the source, known to the two sides only
 * @link:	the connections
 * @lock:	protects changes of @phase
 * @changed:	broadcast when @phase changed, when all actions were executed, and
 *		by session_notify()
 * @wake:	eventfd: readable when @phase changed, and after session_wake();
 *		-1 if there is none
 * @manual:	only an operator lets the session have a new link
 * @manuals:	how often that was decided; changes under @lock
 * @performing:	events whose actions are being executed; under @lock
 * @phase:	enum source_phase or enum target_phase
 * @changes:	how often @phase has changed; under @lock
 * @show_lock:	phases are shown one at a time
 */
struct session {
	const struct session_ops *ops;
	const struct session_env *env;
	const struct session_limits *limits;
	struct progress *progress;
	uint8_t id[WIRE_ID], secret[WIRE_SECRET];
	struct link link;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	int wake;
	_Atomic bool manual;
	_Atomic unsigned phase;
	_Atomic unsigned manuals;
	unsigned changes, performing;
	pthread_mutex_t show_lock;
};

/** session_init() - A session in phase 0, with a link that is not begun */
void session_init(struct session *se, const struct session_ops *ops,
		  const struct session_env *env,
		  const struct session_limits *limits,
		  struct progress *progress);

/** session_fini() - Free it; its threads have ended */
void session_fini(struct session *se);

/** session_phase() - The phase now; it may change at once */
unsigned session_phase(const struct session *se);

/**
 * session_event() - Something happened
 * @se:		the session
 * @event:	enum phase_event, or an enum wire_type received on main
 * @why:	the cause, for events that end something; NULL if there is none
 *
 * Return: 0, -EPERM: the phase does not allow the event
 */
int session_event(struct session *se, unsigned event, const struct error *why);

/** session_is_automatic() - Does a source open a new link without an operator? */
bool session_is_automatic(const struct session *se);

/**
 * session_allow() - An operator lets the session have a new link
 * @se:		the session
 * @manuals:	@se->manuals when the operator's command began: what has
 *		required an operator since then, such as migrate-pause, is kept
 */
void session_allow(struct session *se, unsigned manuals);

/**
 * session_await_actions() - Wait until the actions of all events are executed
 * @se:		the session
 *
 * The phase changes before the actions are executed. So the thread that
 * reported an event may still be executing them when the session thread has
 * long acted on the new phase: before what they refer to is used for the next
 * session, the session thread calls this. Not to be called by an action.
 *
 * It has no time limit, because each action under it has one. A destination
 * calls it in FAILING, where other threads can be executing only RELEASE (1000
 * attempts to unregister RAM, 1 ms apart), HANG_UP and SHUT, which wait for
 * nothing (tests/unit/test_phase.c: a_failure_waits_for_short_actions_only).
 */
void session_await_actions(struct session *se);

/** session_phase_fn - A predicate over phases, e.g. source_is_sending() */
typedef bool session_phase_fn(unsigned phase);

/** session_show() - Show the phase; after a change that is not one of it */
void session_show(struct session *se);

/**
 * session_divert() - Report to another progress from now on
 * @se:		the session
 * @last:	what the progress until now shows for ever. Not the phase: it may
 *		have changed already
 * @p:		where to, initialized
 *
 * The bytes of further links are not counted: the figures may be those of the
 * next migration.
 */
void session_divert(struct session *se, enum progress_status last,
		    struct progress *p);

/**
 * session_wait() - Wait while a predicate over the phase is true
 * @se:		the session
 * @parked:	the predicate
 *
 * For a thread that is created before the point of no return, so that its
 * creation can't fail after it. Every phase change is looked at.
 *
 * Return: the phase that ended the wait
 */
unsigned session_wait(struct session *se, session_phase_fn *parked);

/** session_changes() - How often the phase has changed */
unsigned session_changes(struct session *se);

/**
 * session_sleep() - Wait for @se->changed; @se->lock is held
 * @se:		the session
 * @end:	when the wait ends, monotonic ns; 0 for no limit
 */
void session_sleep(struct session *se, uint64_t end);

/**
 * session_keeps_tls() - May the next link use this address?
 * @last:	the address of the last link
 * @next:	the one that an operator gives
 * @err:	why not
 *
 * A session that began with TLS goes on with TLS only: HELLO has its secret, and
 * pages follow.
 *
 * Return: 0, -EPERM
 */
int session_keeps_tls(const struct uri *last, const struct uri *next,
		      struct error *err);

/** session_notify() - Wake threads that wait for @se->changed */
void session_notify(struct session *se);

/** session_wake() - Let a wait for @se->wake end; any thread */
void session_wake(struct session *se);

/** session_woken() - The session thread has woken up */
void session_woken(struct session *se);

/**
 * session_say() - Send a message on main
 * @se:		the session
 * @type:	its type
 * @w:		its payload, or NULL for none
 * @err:	why not
 *
 * Return: as channel_send(); -ENOMEM if @w failed
 */
int session_say(struct session *se, enum wire_type type,
		const struct writer *w, struct error *err);

/**
 * session_refuse() - Send REFUSE on main, if it is open
 * @se:		the session
 * @why:	the reason
 *
 * Before main is closed: a bare close would leave the peer unsure what this side
 * has decided. Waits SESSION_GOODBYE_MS at most.
 */
void session_refuse(struct session *se, const struct error *why);

/**
 * session_hear() - Receive a message's header on main, and report the event
 * @se:		the session
 * @m:		filled in
 * @wanted:	what the caller waits for, for the error text
 * @err:	why not; REFUSE's text
 *
 * Return: 0; -EBADMSG: the phase does not allow the message; -ECONNREFUSED
 *	   (REFUSE, ENDED); as channel_hear()
 */
int session_hear(struct session *se, struct wire_msg *m, const char *wanted,
		 struct error *err);

/**
 * session_expect() - Receive a message of one type on main, whole
 * @se:		the session
 * @type:	which
 * @payload:	set to its payload, to be freed; NULL if it's not wanted
 * @length:	set to its length; NULL if it's not wanted
 * @err:	why not
 *
 * Return: as session_hear(); -ENOMEM
 */
int session_expect(struct session *se, enum wire_type type, uint8_t **payload,
		   uint32_t *length, struct error *err);

#endif /* FERRY_SESSION_H */
