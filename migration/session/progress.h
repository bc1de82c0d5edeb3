/* SPDX-License-Identifier: MIT */
/*
 * progress.h - How a migration is going: status, times, counts
 *
 * One for each process. The threads of a session write it, query.c reads it for
 * query-migrate. The status follows from the session's phase and nothing else
 * sets it; counters are atomic; the rest is under the lock.
 */
#ifndef FERRY_PROGRESS_H
#define FERRY_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "migration/link/link.h"
#include "migration/pages/page_stats.h"
#include "migration/wire/wire.h"
#include "vmm/base/bytes.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/uri.h"

/*
 * QEMU's MigrationStatus, as far as it applies. What each permits:
 * NONE		a migration may be started
 * SETUP	the guest runs on the source; may be cancelled
 * ACTIVE	the same, and precopy passes are sent
 * DEVICE	the guest is held; may be cancelled
 * POSTCOPY	handed over; can't be cancelled any more
 * RECOVER_SETUP	a new link is being opened
 * RECOVER	the destination has reported what it has
 * PAUSED	handed over or in doubt, link lost; nothing is discarded
 * the rest	over: another may be started, unless the guest is gone
 */
enum progress_status {
	PROGRESS_NONE, PROGRESS_SETUP, PROGRESS_ACTIVE, PROGRESS_DEVICE,
	PROGRESS_POSTCOPY,
	PROGRESS_PAUSED, PROGRESS_RECOVER_SETUP, PROGRESS_RECOVER,
	PROGRESS_COMPLETED, PROGRESS_FAILED, PROGRESS_CANCELLED,
	PROGRESS_STATUSES
};

/* All vCPUs, then one each, then PAGE_STATS_OTHER */
#define PROGRESS_LATENCIES	(PAGE_STATS_VCPUS + 2)
#define PROGRESS_ALL_VCPUS	(PAGE_STATS_VCPUS + 1)
#define PROGRESS_STAGES		64

/**
 * progress_fn - The status has changed
 *
 * Called in any thread, under the progress's lock: the calls come in the order of
 * the changes, and must not ask the progress.
 */
typedef void progress_fn(void *ctx, enum progress_status status);

/**
 * struct progress_precopy - Precopy passes of a source
 * @passes:	that were sent
 * @syncs:	how often the dirty log was fetched
 * @pages, @bytes: that they have sent, each time that it was sent
 * @due:	pages written since they were sent, or not sent
 * @stale:	of these, pages that were sent
 * @dirty_rate:	pages that the guest writes, a second
 * @expected_ms: time that it would take to send @due
 */
struct progress_precopy {
	_Atomic uint64_t passes, syncs, pages, bytes, due, stale,
		dirty_rate, expected_ms;
};

/**
 * struct progress_wait - What a session waits for
 * @what:	what it waits for, a literal; NULL if for nothing that lasts
 * @remedy:	what an operator can do about it, a literal
 * @automatic:	it opens a new link by itself
 * @since:	when the wait began, ns
 */
struct progress_wait {
	const char *what, *remedy;
	bool automatic;
	uint64_t since;
};

/**
 * struct progress - See above
 * @notify, @ctx: called when the status has changed
 * @lock:	protects what is not atomic
 * @status:	the status
 * @outgoing:	this is the source
 * @stage:	name of the current stage, a literal
 * @stages:	when each stage began, ns
 * @why:	why the migration is paused, failed or cancelled; else empty
 * @wait:	what the session waits for while it is paused
 * @start, @pause, @run, @end: monotonic times, ns; 0 if not yet. A destination
 *		does not know when the guest was paused
 * @recoveries:	how often a new link replaced a lost one
 * @resumed:	when it resumed on the source after a failure, ns; else 0
 * @pages_total: of RAM
 * @page_size:	bytes
 * @vcpus:	how many there are
 * @stats:	counters of pages
 * @precopy:	of a source with precopy passes; else all 0
 * @connections: bytes of each connection, by link_count()
 * @id:		of the session, in hexadecimal
 * @arrived:	of the session that brought the guest here; kept when it leaves
 * @uri:	where it goes to, or where it arrives
 * @peer:	a source's copy of the latencies, received in COMPLETE
 * @has_peer:	@peer is filled in
 */
struct progress {
	progress_fn *notify;
	void *ctx;
	pthread_mutex_t lock;
	enum progress_status status;
	_Atomic bool outgoing;
	const char *stage;
	char id[2 * WIRE_ID + 1], arrived[2 * WIRE_ID + 1], uri[URI_TEXT];
	struct error why;
	struct progress_wait wait;
	_Atomic uint64_t start, pause, run, resumed, end;
	uint64_t pages_total;
	unsigned recoveries;
	uint32_t page_size;
	unsigned vcpus;

	struct page_stats stats;
	struct progress_precopy precopy;
	struct channel_count connections[LINK_CONNECTIONS];

	struct { const char *name; uint64_t start; } stages[PROGRESS_STAGES];
	unsigned stages_n;

	struct latency peer[PROGRESS_LATENCIES];
	bool has_peer;
};

/** progress_init() - None yet; @notify is called when the status changes */
void progress_init(struct progress *p, progress_fn *notify, void *ctx);

/**
 * progress_begin() - A new session
 * @p:		the progress
 * @outgoing:	the guest leaves
 *
 * Forgets all of the last one. The status is SETUP afterwards.
 */
void progress_begin(struct progress *p, bool outgoing);

/**
 * progress_name() - Identify the session
 * @p:		the progress
 * @id:		WIRE_ID bytes, the same on both sides
 * @uri:	where to, or where at
 */
void progress_name(struct progress *p, const uint8_t *id,
		   const struct uri *uri);

/**
 * progress_machine() - Describe the machine
 * @p:		the progress
 * @bytes:	of RAM
 * @page_size:	bytes
 * @vcpus:	how many
 */
void progress_machine(struct progress *p, uint64_t bytes, size_t page_size,
		      unsigned vcpus);

/**
 * progress_set() - Change the status, and notify
 * @p:		the progress
 * @status:	the new one
 *
 * The error is kept in PAUSED, FAILED and CANCELLED only.
 */
void progress_set(struct progress *p, enum progress_status status);

/**
 * progress_blame() - Record why the session is about to fail
 * @p:		the progress
 * @why:	the cause
 */
void progress_blame(struct progress *p, const struct error *why);

/**
 * progress_wait() - Say what the session waits for
 * @p:		the progress
 * @what:	a literal; NULL: for nothing any more
 * @remedy:	what an operator can do, a literal
 * @automatic:	the session opens a new link by itself
 *
 * The wait counts from the first call with a text on.
 */
void progress_wait(struct progress *p, const char *what, const char *remedy,
		   bool automatic);

/** progress_uri() - The session goes to, or listens at, another address */
void progress_uri(struct progress *p, const struct uri *uri);

/** progress_why() - A copy of the recorded cause; empty if there is none */
struct error progress_why(struct progress *p);

/** progress_get() - The status now */
enum progress_status progress_get(struct progress *p);

/** progress_stage() - A stage begins; @name is a literal */
void progress_stage(struct progress *p, const char *name);

/** progress_ended() - Is a status one that lets another migration start? */
bool progress_ended(enum progress_status status);

/**
 * progress_put_latency() - Append demand latencies, for COMPLETE
 * @p:		a destination's progress
 * @w:		to where
 */
void progress_put_latency(const struct progress *p, struct writer *w);

/**
 * progress_get_latency() - Read what progress_put_latency() wrote
 * @p:		a source's progress
 * @r:		from where
 *
 * Return: 0, -EBADMSG
 */
int progress_get_latency(struct progress *p, struct reader *r);

#endif /* FERRY_PROGRESS_H */
