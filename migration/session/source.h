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
 * @reporter:	reports poison that the sending threads have found
 * @held:	the machine is held, and @before is set. The session thread's
 * @before:	what the guest did before that
 * @deadline:	when the guest must be prepared at the destination, ns
 * @no_poison:	a guest without lost memory may go where poison can't
 * @peer_poison: the destination's kernel has UFFDIO_POISON
 * @connections: push connections to open
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
	struct reporter reporter;

	bool held;
	struct run_status before;
	uint64_t deadline;
	bool no_poison, peer_poison;
	unsigned connections;
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
 * The caller sets the limit of @pages.pacer, @no_poison and @connections.
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
 * Return: 0, -EINVAL: not in postcopy
 */
int source_pause(struct source *s, struct error *err);

/** source_free() - End its threads and free it; NULL is fine */
void source_free(struct source *s);

#endif /* FERRY_SOURCE_H */
