/* SPDX-License-Identifier: MIT */
/*
 * target.h - The side that a guest arrives at
 *
 * The session thread walks through the stages; each push connection has a
 * receive thread that only places what arrives. The fault thread (pager.c)
 * reads faults, sends requests and places their answers: one thread for both, so
 * that a fault costs no wake-up here beyond those that can't be avoided. The
 * listener (greeter.h) accepts connections. None of them touches the guest's
 * RAM (invariant 7): pages go from a buffer through UFFDIO_COPY.
 */
#ifndef FERRY_TARGET_H
#define FERRY_TARGET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "migration/link/greeter.h"
#include "migration/pages/inflight.h"
#include "migration/pages/pages.h"
#include "session.h"
#include "vmm/base/uri.h"

struct target;

/**
 * struct receiver - A push connection's thread
 * @t:		the target
 * @c:		the connection
 * @data:	buffer for the contents of one message
 * @thread, @started: the thread, while there is one
 */
struct receiver {
	struct target *t;
	struct channel *c;
	uint8_t *data;
	pthread_t thread;
	bool started;
};

/**
 * struct target - An incoming migration
 * @se:		the session; its phase is an enum target_phase
 * @uri:	where it listens
 * @greeter:	the listener
 * @receiver:	one for each push connection
 * @receiving:	receive threads that have not ended
 * @can_poison:	this kernel has UFFDIO_POISON
 * @m:		the machine, once it was built
 * @adopted:	the process has taken the machine over
 * @uffd:	RAM is registered with it until every page is there; or -1
 * @hook_lock:	held while a page is poisoned on purpose, so that @uffd stays
 * @pages:	what each page is
 * @huge:	pages that wait for the rest of their huge page (huge.h), or NULL
 * @state, @poison, @written: received, loaded by the prepare stage
 * @run_it:	the guest ran when it was held
 * @quiet:	poison is entered without a report of its own
 * @inflight:	which vCPU waits for which page
 * @wake:	eventfd: the fault thread looks at the phase
 */
struct target {
	struct session se;
	struct uri uri;
	struct greeter *greeter;
	struct receiver receiver[WIRE_PUSH_MAX];
	_Atomic unsigned receiving;
	bool can_poison;

	struct machine *m;
	bool adopted;
	_Atomic int uffd;
	pthread_mutex_t hook_lock;
	struct pages pages;
	struct huge *huge;
	uint8_t *state, *poison, *written;
	uint32_t state_len, poison_len, written_len;
	bool run_it, quiet;

	struct inflight_table inflight;

	bool started, pager_started;
	int wake;
	pthread_t thread, pager;
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

/**
 * target_place() - Put contents where they belong, unless something is there
 * @t:		the target
 * @gpa:	of the first page
 * @data:	contents
 * @n:		pages
 * @kind:	COUNT_DEMAND or COUNT_PUSH
 * @err:	why not, naming the address
 *
 * The one way in for contents. A page that is there, poisoned or not, or that
 * another thread is placing, keeps what it has.
 *
 * Return: 0, -EBADMSG (not RAM), -errno
 */
int target_place(struct target *t, uint64_t gpa, const uint8_t *data,
		 size_t n, enum page_count kind, struct error *err);

/**
 * target_zero() - Learn that pages are zeroes
 * @t:		the target
 * @gpa:	of the first page
 * @n:		pages
 * @err:	why not
 *
 * Pages that a vCPU waits for are placed; the others when they are touched.
 *
 * Return: as target_place()
 */
int target_zero(struct target *t, uint64_t gpa, size_t n, struct error *err);

/**
 * target_poison() - Learn that pages are lost, and poison them
 * @t:		the target
 * @gpa:	of the first page
 * @n:		pages
 * @delivered:	the guest has received a machine check for them
 * @err:	why not
 *
 * A page that is there stays as it is: the guest has a good copy. Without
 * UFFDIO_POISON the guest is not taken, or, if it is here already, ends when it
 * touches the page: ram_wall().
 *
 * Return: as target_place(); -ENOTSUP
 */
int target_poison(struct target *t, uint64_t gpa, size_t n, bool delivered,
		  struct error *err);

/**
 * target_enter_poison() - Pages were poisoned: list, count and report them
 * @t:		the target
 * @page:	the first of them
 * @n:		how many
 * @delivered:	the guest has received a machine check for them
 * @err:	why not
 *
 * Return: 0, -ENOMEM
 */
int target_enter_poison(struct target *t, size_t page, size_t n,
			bool delivered, struct error *err);

/**
 * target_message() - Act on PAGES, ZERO or POISON
 * @t:		the target
 * @msg:	header
 * @data:	payload
 * @kind:	what to count pages as
 * @err:	why not
 *
 * Return: as target_place(); -EBADMSG for any other type
 */
int target_message(struct target *t, const struct wire_msg *msg,
		   const uint8_t *data, enum page_count kind,
		   struct error *err);

/**
 * target_zero_fault() - Place zero pages around one that was touched
 * @t:		the target
 * @page:	which
 * @err:	why not
 *
 * Return: 0, -errno
 */
int target_zero_fault(struct target *t, size_t page, struct error *err);

/** target_pager_hook() - struct pager's poison, for a guest that is arriving */
int target_pager_hook(void *ctx, uint64_t offset, bool simulate,
		      struct error *err);

/** target_pager_main() - The fault thread; @arg is the target */
void *target_pager_main(void *arg);

/**
 * target_prepare_receive() - Create the receive threads, parked, with buffers
 * @t:		the target
 * @err:	why not
 *
 * Return: 0, -ENOMEM, -EAGAIN
 */
int target_prepare_receive(struct target *t, struct error *err);

/** target_end_receive() - Wait for the receive threads to end */
void target_end_receive(struct target *t);

/** target_received() - The last receive thread has ended: DONE is due on main */
void target_received(struct target *t);

/** target_end_pager() - Wait for the fault thread, which the phase has ended */
void target_end_pager(struct target *t);

/** target_drop_received() - Free what was received to be loaded */
void target_drop_received(struct target *t);

/** target_wake_pager() - The fault thread looks at the phase */
void target_wake_pager(struct target *t);

/**
 * target_lost() - A thread's connection failed, or its peer violates the protocol
 * @t:		the target
 * @role:	which connection
 * @why:	the cause
 */
void target_lost(struct target *t, enum wire_role role,
		 const struct error *why);

#endif /* FERRY_TARGET_H */
