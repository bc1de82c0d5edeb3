/* SPDX-License-Identifier: MIT */
/*
 * source.h - The side that a guest leaves
 *
 * The session thread walks through the stages. Each push connection has a push
 * thread, the demand connection has the demand thread. All of them, and what
 * they need, are created before the guest is held and wait until their phase
 * comes, so that none of that can fail after the point of no return. All read
 * RAM by ram_copy_out(), which turns poison into an error, and all claim pages
 * in @sent, the ledger.
 */
#ifndef FERRY_SOURCE_H
#define FERRY_SOURCE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "migration/pages/policy.h"
#include "migration/pages/sent.h"
#include "session.h"
#include "vmm/base/uri.h"

/* What a run of pages becomes at most: each its own message */
#define BATCH_IOVS	(2 * WIRE_RUN_PAGES)

/**
 * struct batch - A run of pages on its way out
 * @data:	contents, WIRE_RUN_PAGES of them
 * @header:	of the messages it became
 * @iov:	headers and contents in the order to send
 * @headers, @iovs: how many
 * @pages:	of each kind: data, zero, poison
 */
struct batch {
	uint8_t *data;
	uint8_t header[WIRE_RUN_PAGES][WIRE_HEADER];
	struct iovec iov[BATCH_IOVS];
	unsigned headers, iovs;
	uint64_t data_pages, zero_pages, poison_pages, bytes;
};

struct source;

/**
 * struct pusher - A push connection's thread
 * @s:		the source
 * @c:		the connection
 * @batch:	what it works on
 * @thread, @started: the thread, while there is one
 */
struct pusher {
	struct source *s;
	struct channel *c;
	struct batch batch;
	pthread_t thread;
	bool started;
};

/**
 * struct pace - What was sent in bulk since a limit was set
 * @limit:	bytes per second
 * @start:	when it was set, ns
 * @bytes:	sent since
 */
struct pace {
	uint64_t limit, start, bytes;
};

/** struct extent - A range of RAM, by offset, bytes */
struct extent {
	uint64_t offset, len;
};

/**
 * struct extents - Ranges of RAM, ascending, disjoint
 * @at:		the ranges
 * @n, @cap:	how many there are, and fit
 */
struct extents {
	struct extent *at;
	size_t n, cap;
};

/**
 * struct source - An outgoing migration
 * @se:		the session; its phase is an enum source_phase
 * @m:		the machine
 * @uri:	where to
 * @zero:	ranges that ZERO_LIST has announced as zeroes
 * @pusher:	one for each push connection
 * @pushing:	push threads that have not ended
 * @sent:	what was handed over
 * @policy:	what to push next, under @policy_lock
 * @asked:	when the last request came, ns
 * @pace:	how @bandwidth is kept, under @policy_lock
 * @batch:	of the session thread
 * @wake:	eventfd: the session thread looks at @pushing and at its phase
 * @held:	the machine is held, and @before is set. The session thread's
 * @before:	what the guest did before that
 * @deadline:	when the guest must be prepared at the destination, ns
 * @injecting:	page that is being poisoned on purpose, plus one; or 0
 * @no_poison:	a guest without lost memory may go where poison can't
 * @peer_poison: the destination's kernel has UFFDIO_POISON
 * @bandwidth:	of what goes in bulk, bytes per second at most; 0 for no limit
 * @connections: push connections to open
 */
struct source {
	struct session se;
	struct machine *m;
	struct uri uri;

	struct extents zero;
	struct pusher pusher[WIRE_PUSH_MAX];
	_Atomic unsigned pushing;
	struct sent sent;
	pthread_mutex_t policy_lock;
	struct policy policy;
	_Atomic uint64_t asked;
	struct pace pace;
	struct batch batch;

	int wake;
	bool held;
	struct run_status before;
	uint64_t deadline;
	_Atomic uint64_t bandwidth;
	_Atomic size_t injecting;
	bool no_poison, peer_poison;
	unsigned connections;
	bool started, demand_started;
	pthread_t thread, demand_thread;
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
 * The caller sets @bandwidth, @no_poison and @connections.
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

/** source_throttle() - Wait as long as bulk is ahead of its limit */
void source_throttle(struct source *s);

/**
 * source_lost() - A thread's connection failed, or its peer violates the protocol
 * @s:		the source
 * @role:	which connection
 * @rc:		-errno
 * @why:	the cause
 */
void source_lost(struct source *s, enum wire_role role, int rc,
		 const struct error *why);

/**
 * source_prepare_push() - Create the push threads, parked, with their buffers
 * @s:		the source
 * @err:	why not
 *
 * Return: 0, -ENOMEM, -EAGAIN
 */
int source_prepare_push(struct source *s, struct error *err);

/** source_end_push() - Wait for the push threads to end; the link is shut */
void source_end_push(struct source *s);

/**
 * source_prepare_demand() - Create the demand thread, parked, with its buffers
 * @s:		the source
 * @err:	why not
 *
 * Return: 0, -ENOMEM, -EAGAIN
 */
int source_prepare_demand(struct source *s, struct error *err);

/** source_end_demand() - Wait for the demand thread to end; the link is shut */
void source_end_demand(struct source *s);

/**
 * batch_fill() - Turn a run of pages into messages
 * @s:		the source
 * @b:		filled in
 * @page:	first page of the run
 * @n:		pages, at most WIRE_RUN_PAGES; may cross the hole under 4 GiB
 *
 * Zero pages and pages that can't be read become messages without contents;
 * the latter go into the machine's poison list.
 *
 * Return: 0, -errno if RAM can't be read for another reason
 */
int batch_fill(struct source *s, struct batch *b, size_t page, size_t n,
	       struct error *err);

/**
 * batch_send() - Send it, and count it
 * @s:		the source
 * @b:		from batch_fill()
 * @c:		on which connection
 * @kind:	COUNT_DEMAND or COUNT_PUSH; PAGE_COUNTS for pages that were counted
 *		when they were sent before
 * @err:	why not
 *
 * Return: as channel_send()
 */
int batch_send(struct source *s, struct batch *b, struct channel *c,
	       enum page_count kind, struct error *err);

/** batch_init() - Allocate room for the contents of a run. Return: 0, -ENOMEM */
int batch_init(struct batch *b);

/** batch_fini() - Free it; fine on one that is all zeroes */
void batch_fini(struct batch *b);

#endif /* FERRY_SOURCE_H */
