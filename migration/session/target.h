/* SPDX-License-Identifier: MIT */
/*
 * target.h - The side that a guest arrives at
 *
 * The receiver walks through the stages and then takes what is pushed; each further push connection has
 * a thread that does only that. The pager waits for faults and for the answers to what it asked;
 * request and answer are the same thread's, so that a fault costs no hand-off here beyond
 * the wake-ups that it can't do without. None touches the guest's RAM (invariant 7):
 * pages go from a buffer through UFFDIO_COPY.
 */
#ifndef FERRY_TARGET_H
#define FERRY_TARGET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "migration/job.h"
#include "migration/link/channel.h"
#include "migration/pages/inflight.h"
#include "migration/pages/pages.h"
#include "migration/wire/wire.h"
#include "vmm/base/uri.h"
#include "vmm/host/host.h"

struct target;

/**
 * struct taker - A push connection beside main, and its thread
 * @t:		whose
 * @c:		the connection
 * @thread, @started: the thread, while there is one
 */
struct taker {
	struct target *t;
	struct channel c;
	pthread_t thread;
	bool started;
};

/**
 * struct target - An incoming migration
 * @host, @job:	whose, how it goes
 * @uri:	where it listens
 * @listener:	socket
 * @main:	connection for the stages and the push
 * @demand:	connection for what is asked for
 * @taker:	push connections beside @main, @takers of them
 * @id:		names the migration on both connections
 * @can_poison:	this kernel has UFFDIO_POISON
 * @m:		the machine, once it was built
 * @uffd:	RAM is registered with it until every page is there; or -1
 * @pages:	what each page is
 * @huge:	pages that wait for the rest of their huge page (huge.h), or NULL
 * @state, @poison, @zero: received, to be loaded by the prepare stage
 * @inflight:	who waits for which page
 * @hook_lock:	held while a page is poisoned on purpose, so that @uffd stays
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
	struct channel main, demand;
	struct taker taker[WIRE_PUSH_MAX];
	_Atomic unsigned takers;
	uint8_t id[WIRE_ID];
	bool can_poison;

	struct machine *m;
	_Atomic int uffd;
	pthread_mutex_t hook_lock;
	struct pages pages;
	struct huge *huge;
	uint8_t *state, *poison, *zero;
	uint32_t state_len, poison_len, zero_len;
	bool run_it;

	struct inflight_table inflight;

	_Atomic bool prepared, committed, broken;
	_Atomic bool ending, stop;
	struct error lost;
	pthread_mutex_t lock;
	_Atomic bool failed;

	bool started, pager_started;
	int wake;			/* eventfd: the pager shall look up */
	pthread_t thread, pager;
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

/**
 * target_place() - Put contents where they belong, unless something is there
 * @t:		the target
 * @gpa:	of the first page
 * @data:	contents
 * @n:		pages
 * @kind:	PAGE_DEMAND or PAGE_PUSH, to count them as
 * @err:	why not, naming the address
 *
 * The one way in for contents. A page that is there, poisoned or not, or that
 * another thread is placing, keeps what it has.
 *
 * Return: 0, -EBADMSG (not RAM), -errno
 */
int target_place(struct target *t, uint64_t gpa, const uint8_t *data,
		 size_t n, enum page_kind kind, struct error *err);

/**
 * target_zero() - Learn that pages are zeroes
 * @t:		the target
 * @gpa:	of the first page
 * @n:		pages
 * @err:	why not
 *
 * Pages that somebody waits for are placed; the others when they are touched.
 *
 * Return: as target_place()
 */
int target_zero(struct target *t, uint64_t gpa, size_t n, struct error *err);

/**
 * target_poison() - Learn that pages are lost, and poison them
 * @t:		the target
 * @gpa:	of the first page
 * @n:		pages
 * @delivered:	the guest was told already
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
 * target_enter_poison() - Pages were poisoned: list them, count them, tell of them
 * @t:		the target
 * @page:	the first of them
 * @n:		how many
 * @delivered:	the guest was told already
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
		   const uint8_t *data, enum page_kind kind,
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

/**
 * target_pager_hook() - struct ram_hook's poison, for a guest that is arriving
 */
int target_pager_hook(void *ctx, uint64_t offset, bool simulate,
		      struct error *err);

/** target_pager_main() - The pager's thread; @arg is the target */
void *target_pager_main(void *arg);

/**
 * target_end_takers() - Wait for the threads of push connections to end
 * @t:		the target
 *
 * They end at DONE, or because their connection was shut. One that fails has
 * called target_fail().
 */
void target_end_takers(struct target *t);

/** target_end_pager() - Have the pager's thread end, and wait for it */
void target_end_pager(struct target *t);

/** target_close_uffd() - Let go of RAM: missing pages read as zeroes */
void target_close_uffd(struct target *t);

/** target_drop_received() - Free what was received to be loaded */
void target_drop_received(struct target *t);

/** target_wake_pager() - Have the pager look at @ending and at who waits */
void target_wake_pager(struct target *t);

/**
 * target_fail() - A connection was lost, or the peer makes no sense
 * @t:		the target
 * @why:	how; the first one counts
 *
 * After the hand-over that means postcopy-paused; before it the stages fail.
 */
void target_fail(struct target *t, const struct error *why);

#endif /* FERRY_TARGET_H */
