/* SPDX-License-Identifier: MIT */
/*
 * target.h - The side that a guest arrives at
 *
 * The session thread walks through the stages. Receive threads place what is
 * pushed (receive.h), the fault thread resolves faults (fault.h), the listener
 * accepts connections (greeter.h). None of them touches the guest's RAM
 * (invariant 7): pages go from a buffer through UFFDIO_COPY.
 */
#ifndef FERRY_TARGET_H
#define FERRY_TARGET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "fault.h"
#include "migration/link/greeter.h"
#include "migration/pages/page_store.h"
#include "receive.h"
#include "session.h"
#include "vmm/base/uri.h"

struct target;

/**
 * struct target - An incoming migration
 * @se:		the session; its phase is an enum target_phase
 * @uri:	where it listens
 * @greeter:	the listener
 * @receive:	receive threads
 * @faults:	fault thread
 * @can_poison:	this kernel has UFFDIO_POISON
 * @m:		the machine, once it was built
 * @adopted:	the process has taken the machine over
 * @store:	its RAM while pages arrive; outlives the link
 * @state, @poison, @written, @discard: received, loaded by the prepare stage
 * @run_it:	the guest ran when it was held
 * @epoch:	the highest that a link of this session, or of the one before it,
 *		had; 0: no session yet
 * @parked:	the threads of the last link have ended: a new one may begin
 * @greet_lock:	held from the moment in which the link has the connection of a
 *		source that resumes until the phase says so: see target_thread.c:await_source()
 * @listen_lock: protects @greeter and @uri against target_listen_at()
 * @after:	where a session that is shown as completed reports to: the
 *		process's progress may belong to the next migration
 * @passing:	a precopy pass arrives
 * @waits_since: when it began to wait for a source, ns; 0: does not yet
 * @logged:	the log says that the guest has arrived
 * @quiet:	POISON_LIST is being entered: it is reported when all of it is
 */
struct target {
	struct session se;
	struct uri uri;
	struct greeter *greeter;
	struct receive_group receive;
	struct fault_thread faults;
	bool can_poison;

	struct machine *m;
	bool adopted;
	struct page_store store;
	uint8_t *state, *poison, *written, *discard;
	uint32_t state_len, poison_len, written_len, discard_len;
	bool run_it, logged;
	_Atomic bool quiet, passing;

	uint32_t epoch;
	_Atomic bool parked;
	pthread_mutex_t greet_lock, listen_lock;
	struct progress after;
	_Atomic uint64_t waits_since;

	bool started;
	pthread_t thread;
};

/**
 * target_new() - Listen for a guest
 * @uri:	where
 * @env:	the process around it
 * @limits:	of waits
 * @progress:	what clients see
 * @err:	why not
 *
 * Return: it, listening, or NULL
 */
struct target *target_new(const struct uri *uri, const struct session_env *env,
			  const struct session_limits *limits,
			  struct progress *progress, struct error *err);

/**
 * target_pause() - Shut the link: postcopy-paused follows (migrate-pause)
 * @t:		it
 * @err:	why not
 *
 * Also ends a new link that is being completed. The source cannot open another
 * one before target_recover().
 *
 * Return: 0, -EINVAL: not in postcopy
 */
int target_pause(struct target *t, struct error *err);

/**
 * target_recover() - Let the source open a new link (migrate-recover)
 * @t:		it
 * @uri:	where to listen from now on
 * @err:	why not
 *
 * Return: 0, -EINVAL (not paused), -errno: the listener stays as it was
 */
int target_recover(struct target *t, const struct uri *uri, struct error *err);

/**
 * target_resolve() - An operator decides what happens to the guest here
 * @t:		it
 * @run_here:	it runs here, because the source is gone for good; else it is
 *		discarded here
 * @err:	why not
 *
 * Return: 0, -EPERM
 */
int target_resolve(struct target *t, bool run_here, struct error *err);

/**
 * target_waits() - Does a session that is not paused wait for a source?
 * @t:		it
 * @w:		what it waits for, if it does
 */
bool target_waits(struct target *t, struct progress_wait *w);

/** target_free() - End its threads, free it and the machine; NULL is fine */
void target_free(struct target *t);

#endif /* FERRY_TARGET_H */
