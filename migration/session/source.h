/* SPDX-License-Identifier: MIT */
/*
 * source.h - The side that a guest leaves
 *
 * The session thread walks through the stages. Push threads send pages unasked
 * (push.h), and the demand thread answers what the destination requests
 * (demand.h). All of them, and what they need, are created before the point of
 * no return, so that none of that can fail after it.
 */
#ifndef FERRY_SOURCE_H
#define FERRY_SOURCE_H

#include <pthread.h>
#include <stdbool.h>

#include "demand.h"
#include "migration/pages/page_source.h"
#include "migration/pages/passes.h"
#include "migration/pages/reporter.h"
#include "push.h"
#include "session.h"
#include "vmm/base/uri.h"

/**
 * struct extents - Ranges of RAM, ascending, disjoint
 * @at:		the ranges
 * @n, @cap:	how many there are, and fit
 */
struct extents {
	struct ram_extent *at;
	size_t n, cap;
};

/**
 * struct source - An outgoing migration
 * @se:		the session; its phase is an enum source_phase
 * @m:		the machine
 * @uri:	where to
 * @zero:	ranges that ZERO_LIST has announced as zeroes
 * @pages:	what is sent, and what was; outlives the link
 * @push:	push threads
 * @answers:	demand thread
 * @batch:	of the session thread
 * @passes:	what the precopy passes send; the session thread's, as all to
 *		@lost_n
 * @pass:	the last pass. The caller of source_new() sets @pass.limit
 * @pass_first:	the pages that are being read were not sent before
 * @pass_resets: poison_resets() before they are read
 * @unit:	pages that the destination can only discard together
 * @lost, @lost_n: the poison list as it was when the guest was held
 * @passing:	the passes have begun
 * @end_passes:	they shall end: migrate-start-postcopy
 * @reporter:	reports poison that the sending threads have found
 * @held:	the machine is held, and @before is set. The session thread's
 * @before:	what the guest did before that
 * @deadline:	when the guest must be prepared at the destination, ns; 0 while
 *		the guest is not held, or COMMIT was decided
 * @no_poison:	a guest without lost memory may go where poison can't
 * @peer_poison: the destination's kernel has UFFDIO_POISON
 * @connections: push connections to open
 * @epoch:	of the last link
 * @attempts:	to open a new link, since the last one carried pages
 * @asked:	an operator wants a new link; changed under @se.lock
 * @reported:	the destination has reported what it has
 * @rebuilding:	the ledger is not what the destination has
 * @prepare_sent: PREPARE was sent: the destination may be in doubt
 * @refusal:	what REFUSE says: why the guest stays here. The process's progress
 *		may belong to the next migration when it is delivered
 * @refuses_since: when it began to deliver @refusal, ns; 0: does not
 * @quit:	source_free() was called
 * @gone:	ENDED was received
 * @over:	the session thread has nothing left to do
 */
struct source {
	struct session se;
	struct machine *m;
	struct uri uri;

	struct extents zero;
	struct page_source pages;
	struct push_group push;
	struct demand_server answers;
	struct batch batch;
	struct passes passes;
	struct pass_record pass;
	bool pass_first;
	unsigned pass_resets;
	size_t unit;
	struct poison *lost;
	int lost_n;
	_Atomic bool passing, end_passes;
	struct reporter reporter;

	bool held;
	struct run_status before;
	uint64_t deadline;
	bool no_poison, peer_poison;
	unsigned connections;

	uint32_t epoch;
	_Atomic unsigned attempts;
	_Atomic bool reported, rebuilding, quit, gone, over;
	bool prepare_sent;
	struct error refusal;
	_Atomic uint64_t refuses_since;
	_Atomic bool asked;
	bool started;
	pthread_t thread;
};

/**
 * source_new() - Prepare an outgoing migration
 * @m:		the machine
 * @uri:	where to
 * @env:	the process around it
 * @limits:	of waits
 * @progress:	what clients see
 * @err:	why not
 *
 * The caller sets the limit of @pages.pacer, @no_poison, @connections and
 * @pass.limit.
 *
 * Return: it, or NULL
 */
struct source *source_new(struct machine *m, const struct uri *uri,
			  const struct session_env *env,
			  const struct session_limits *limits,
			  struct progress *progress, struct error *err);

/**
 * source_start() - Begin
 * @s:		it
 * @err:	why not
 *
 * Return: 0, -errno
 */
int source_start(struct source *s, struct error *err);

/**
 * source_cancel() - Give up, if the guest has not been handed over
 * @s:		it
 * @err:	why not
 *
 * Return: 0 (it will end as cancelled, with the guest running here), -EBUSY
 */
int source_cancel(struct source *s, struct error *err);

/**
 * source_pause() - Shut the link: postcopy-paused follows (migrate-pause)
 * @s:		it
 * @err:	why not
 *
 * Also ends an attempt to open a new link, and the automatic ones.
 *
 * Return: 0, -EINVAL: not in postcopy
 */
int source_pause(struct source *s, struct error *err);

/**
 * source_resume() - Open a new link now (migrate with resume)
 * @s:		it
 * @uri:	where to, from now on
 * @accept:	called before the attempt begins, with @ctx, unless this fails:
 *		stores the limits for the new link. NULL: nothing is stored
 * @ctx:	for @accept, which runs under the session's lock and must not call the
 *		session
 * @err:	why not
 *
 * Return: 0 (the attempt begins), -EBUSY (one is under way), -EINVAL: not
 *	   paused
 */
int source_resume(struct source *s, const struct uri *uri,
		  void (*accept)(void *ctx), void *ctx, struct error *err);

/**
 * source_resolve() - An operator decides what happens to the guest here
 * @s:		it
 * @run_here:	it runs here, because the destination is gone for good; else it
 *		is given up here
 * @err:	why not
 *
 * Return: 0, -EPERM
 */
int source_resolve(struct source *s, bool run_here, struct error *err);

/**
 * source_start_postcopy() - End the precopy passes (migrate-start-postcopy)
 * @s:		it
 *
 * Before they have begun: there are none. Afterwards: no effect.
 */
void source_start_postcopy(struct source *s);

/**
 * source_is_refusing() - Must it be kept, because it still delivers REFUSE?
 * @s:		it, ended (progress_ended()). The destination of a migration that
 *		has failed may be in doubt
 *
 * Return: true if it is not to be freed yet
 */
bool source_is_refusing(struct source *s);

/**
 * source_waits() - Does a session that has ended wait for the destination?
 * @s:		it, ended or not
 * @w:		what it waits for, if it does
 */
bool source_waits(struct source *s, struct progress_wait *w);

/** source_free() - End its threads and free it; NULL is fine */
void source_free(struct source *s);

#endif /* FERRY_SOURCE_H */
