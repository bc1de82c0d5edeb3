/* SPDX-License-Identifier: MIT */
/*
 * source.h - The side that a guest leaves
 *
 * While pages go, the thread that walked through the stages pushes, and so
 * does one for each further push connection; the demand thread answers what
 * the destination asks for. All read RAM by ram_copy_out(), which turns poison
 * into an error, and all claim pages in @sent.
 */
#ifndef FERRY_SOURCE_H
#define FERRY_SOURCE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "migration/job.h"
#include "migration/link/channel.h"
#include "migration/pages/policy.h"
#include "migration/pages/sent.h"
#include "migration/wire/wire.h"
#include "vmm/base/uri.h"
#include "vmm/host/host.h"

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
 * struct pusher - A push connection beside main, and its thread
 * @s:		whose
 * @c:		the connection
 * @batch:	what it works on
 * @thread, @started: the thread, while there is one
 */
struct pusher {
	struct source *s;
	struct channel c;
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

/** struct extent - A stretch of RAM, by offset, bytes */
struct extent {
	uint64_t offset, len;
};

/**
 * struct source - An outgoing migration
 * @host, @m, @job: whose, what, how it goes
 * @uri:	where to
 * @main:	connection for the stages and the push
 * @demand:	connection for what is asked for
 * @pusher:	push connections beside @main, @pushers of them
 * @id:		names the migration on both connections
 * @holes:	RAM that seemed never written while the guest still ran
 * @sent:	what was handed over
 * @policy:	what to push next, under @policy_lock
 * @asked:	when the last request came, ns
 * @pace:	how @bandwidth is kept, under @policy_lock
 * @batch:	of the thread that walks through the stages
 * @lock:	protects @committed and @cancelled, which exclude each other,
 *		@committing and @failed
 * @committing:	nothing has answered COMMIT: only the migration thread
 *		tells what that means
 * @broken:	a connection was lost before the hand-over
 * @paused:	this migration paused the guest
 * @before:	what the guest did before that
 * @finishing:	only the push's connection matters any more
 * @ending:	connections are being closed on purpose
 * @injecting:	page that is being poisoned on purpose, plus one; or 0
 * @no_poison:	a guest without lost memory may go where poison can't
 * @peer_poison: the destination's kernel has UFFDIO_POISON
 * @bandwidth:	of what goes in bulk, bytes per second at most; 0 for no limit
 */
struct source {
	struct host *host;
	struct machine *m;
	struct job *job;
	struct uri uri;
	struct channel main, demand;
	struct pusher pusher[WIRE_PUSH_MAX];
	_Atomic unsigned pushers;
	uint8_t id[WIRE_ID];

	struct ram_extent *holes;
	size_t holes_n, holes_cap;

	struct sent sent;
	pthread_mutex_t policy_lock;
	struct policy policy;
	_Atomic uint64_t asked;
	struct pace pace;
	struct batch batch;

	pthread_mutex_t lock;
	_Atomic bool committed, committing;
	_Atomic bool cancelled, failed, broken, paused;
	bool started, demand_started;
	struct run_status before;
	_Atomic bool ending, finishing;
	_Atomic uint64_t bandwidth;
	_Atomic size_t injecting;
	bool no_poison, peer_poison;
	pthread_t thread, demand_thread;
};

/**
 * source_new() - Prepare an outgoing migration
 * @h:		the host, which has a machine
 * @job:	how it goes
 * @uri:	where to
 * @err:	why not
 *
 * Return: it, or NULL
 */
struct source *source_new(struct host *h, struct job *job,
			  const struct uri *uri, struct error *err);

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
 * Return: 0 (it will end as cancelled, with the guest at home), -EBUSY
 */
int source_cancel(struct source *s, struct error *err);

/** source_disconnect() - Cut the connections: postcopy-paused follows */
void source_disconnect(struct source *s);

/** source_free() - End its threads and free it; NULL is fine */
void source_free(struct source *s);

/**
 * source_throttle() - Sleep off what goes in bulk is ahead of its limit
 * @s:		the source
 */
void source_throttle(struct source *s);

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
 * @kind:	PAGE_DEMAND or PAGE_PUSH; PAGE_KINDS for pages that were counted
 *		when they were sent before
 * @err:	why not
 *
 * Return: as channel_send()
 */
int batch_send(struct source *s, struct batch *b, struct channel *c,
	       enum page_kind kind, struct error *err);

/** source_demand_main() - The demand thread; @arg is the source */
void *source_demand_main(void *arg);

/**
 * batch_init() - Have room for the contents of a run
 * @b:		filled in
 *
 * Return: 0, -ENOMEM
 */
int batch_init(struct batch *b);

/** batch_fini() - Free it; fine on one that is all zeroes */
void batch_fini(struct batch *b);

/**
 * source_lost() - The demand connection was lost, or one of @pusher
 * @s:		the source
 * @why:	how; the first failure counts
 *
 * After the hand-over that means postcopy-paused; before it the stages fail.
 * While COMMIT is unanswered the migration thread tells how it ends.
 */
void source_lost(struct source *s, const struct error *why);

#endif /* FERRY_SOURCE_H */
