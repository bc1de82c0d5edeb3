/* SPDX-License-Identifier: MIT */
/*
 * target.h - The side that a guest arrives at
 *
 * A thread walks through the stages. Receive threads place what is pushed
 * (receive.h), the fault thread what vCPUs wait for (fault.h).
 */
#ifndef FERRY_TARGET_H
#define FERRY_TARGET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "fault.h"
#include "migration/job.h"
#include "migration/link/channel.h"
#include "migration/pages/page_store.h"
#include "migration/wire/wire.h"
#include "receive.h"
#include "vmm/base/uri.h"
#include "vmm/host/host.h"

/**
 * struct target - An incoming migration
 * @host, @job:	whose, how it goes
 * @uri:	where it listens
 * @listener:	socket
 * @main:	connection for the stages
 * @demand:	connection for what is asked for
 * @pushed:	push connections
 * @receive:	their threads
 * @id:		names the migration on both connections
 * @can_poison:	this kernel has UFFDIO_POISON
 * @m:		the machine, once it was built
 * @store:	its RAM while pages arrive
 * @faults:	fault thread
 * @state, @poison, @zero: received, to be loaded by the prepare stage
 * @broken:	pages were let go before the machine was loaded: it may have
 *		loaded zeroes, and must not run
 * @prepared:	the source was told that we can run: without its word we
 *		don't know whether it does
 * @committed:	the source has said that it never will again
 * @ending:	connections are being closed on purpose
 * @stop:	the process ends: no other source may try
 * @lost:	the demand connection was lost between PREPARED and COMMIT
 * @lock:	protects @failed, @lost, the closing of connections, and that @prepared and @broken exclude each other
 */
struct target {
	struct host *host;
	struct job *job;
	struct uri uri;
	int listener;
	struct channel main, demand, pushed[WIRE_PUSH_MAX];
	struct receive_group receive;
	uint8_t id[WIRE_ID];
	bool can_poison;

	struct machine *m;
	struct page_store store;
	struct fault_thread faults;
	uint8_t *state, *poison, *zero;
	uint32_t state_len, poison_len, zero_len;
	bool run_it;

	_Atomic bool prepared, committed, broken;
	_Atomic bool ending, stop;
	struct error lost;
	pthread_mutex_t lock;
	_Atomic bool failed;

	bool started;
	pthread_t thread;
};

/**
 * target_new() - Listen for a guest
 * @h:		the host
 * @job:	how it goes
 * @uri:	where
 * @err:	why not
 *
 * Return: it, listening, or NULL
 */
struct target *target_new(struct host *h, struct job *job,
			  const struct uri *uri, struct error *err);

/** target_disconnect() - Cut the connections: postcopy-paused follows */
void target_disconnect(struct target *t);

/** target_free() - End its threads, free it and the machine; NULL is fine */
void target_free(struct target *t);

/** target_drop_received() - Free what was received to be loaded */
void target_drop_received(struct target *t);

/** target_start_faults() - Start the fault thread */
int target_start_faults(struct target *t, struct error *err);

/** target_inject() - The machine's hook for poison made on purpose */
int target_inject(void *ctx, uint64_t offset, bool simulate,
		  struct error *err);

/**
 * target_fail() - A connection was lost, or the peer makes no sense
 * @t:		the target
 * @why:	how; the first one counts
 *
 * After the hand-over that means postcopy-paused; before it the stages fail.
 */
void target_fail(struct target *t, const struct error *why);

#endif /* FERRY_TARGET_H */
