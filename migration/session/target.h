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
 * @state, @poison, @written: received, loaded by the prepare stage
 * @run_it:	the guest ran when it was held
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
	uint8_t *state, *poison, *written;
	uint32_t state_len, poison_len, written_len;
	bool run_it;
	_Atomic bool quiet;

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
 * Return: 0, -EINVAL: not in postcopy
 */
int target_pause(struct target *t, struct error *err);

/** target_free() - End its threads, free it and the machine; NULL is fine */
void target_free(struct target *t);

/** target_drop_received() - Free what was received to be loaded */
void target_drop_received(struct target *t);

/** target_start_faults() - Start the fault thread. Return: 0, -errno */
int target_start_faults(struct target *t, struct error *err);

/** target_report_poison() - Report poison that was posted; @ctx: the target */
void target_report_poison(void *ctx);

/** target_inject() - The machine's hook for poison made on purpose */
int target_inject(void *ctx, uint64_t offset, bool simulate,
		  struct error *err);

#endif /* FERRY_TARGET_H */
