/* SPDX-License-Identifier: MIT */
/*
 * source.h - The side that a guest leaves
 *
 * While pages go, push threads send them unasked (push.h), and the demand
 * thread answers what the destination requests (demand.h).
 */
#ifndef FERRY_SOURCE_H
#define FERRY_SOURCE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "demand.h"
#include "migration/job.h"
#include "migration/link/channel.h"
#include "migration/pages/page_source.h"
#include "migration/wire/wire.h"
#include "push.h"
#include "vmm/base/uri.h"
#include "vmm/host/host.h"

/** struct extent - A stretch of RAM, by offset, bytes */
struct extent {
	uint64_t offset, len;
};

/**
 * struct source - An outgoing migration
 * @host, @m, @job: whose, what, how it goes
 * @uri:	where to
 * @main:	connection for the stages
 * @demand:	connection for what is asked for
 * @pages:	what is sent, and what was
 * @pushing:	push connections
 * @push:	their threads
 * @answers:	demand thread
 * @id:		names the migration on both connections
 * @holes:	RAM that seemed never written while the guest still ran
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
 * @no_poison:	a guest without lost memory may go where poison can't
 * @peer_poison: the destination's kernel has UFFDIO_POISON
 */
struct source {
	struct host *host;
	struct machine *m;
	struct job *job;
	struct uri uri;
	struct channel main, demand, pushing[WIRE_PUSH_MAX];
	struct page_source pages;
	struct push_group push;
	struct demand_server answers;
	uint8_t id[WIRE_ID];

	struct extent *holes;
	size_t holes_n, holes_cap;

	struct batch batch;

	pthread_mutex_t lock;
	_Atomic bool committed, committing;
	_Atomic bool cancelled, failed, broken, paused;
	bool started;
	struct run_status before;
	_Atomic bool ending, finishing;
	bool no_poison, peer_poison;
	pthread_t thread;
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
 * source_lost() - The demand connection was lost, or one of @push
 * @s:		the source
 * @why:	how; the first failure counts
 *
 * After the hand-over that means postcopy-paused; before it the stages fail.
 * While COMMIT is unanswered the migration thread tells how it ends.
 */
void source_lost(struct source *s, const struct error *why);

#endif /* FERRY_SOURCE_H */
