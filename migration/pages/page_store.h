/* SPDX-License-Identifier: MIT */
/*
 * page_store.h - A destination's RAM while its pages arrive
 *
 * RAM, its userfaultfd, the state of each page, the vCPUs that wait, and the
 * statistics. Knows no sockets and no session. What arrives passes here once,
 * is checked, and goes to the placement that fits the kind of RAM
 * (placement.h).
 *
 * Threads: bulk threads call page_store_message(); one thread, the fault
 * thread, calls the functions that are marked so, and shares no lock with the
 * bulk threads. No thread here touches registered RAM (invariant 7): contents
 * go from a buffer through UFFDIO_COPY.
 *
 * Poison that arrives is posted (poison.h) after the kernel has poisoned the
 * page and before the table counts it as POISONED. So once no page is missing,
 * every reader of the machine's list finds all poison. The reports to the host
 * (log line, event) may have to wait for locks and are made by a thread of their
 * own. page_store_close() makes the last ones, before COMPLETE is sent.
 */
#ifndef FERRY_PAGE_STORE_H
#define FERRY_PAGE_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migration/wire/wire.h"
#include "page_stats.h"
#include "pages.h"
#include "reporter.h"
#include "vmm/base/error.h"
#include "vmm/memory/huge_buffer.h"
#include "vmm/memory/ram.h"
#include "waiters.h"

/**
 * struct page_store_events - How the session learns of poison
 * @ctx:	handed to each
 * @poisoned:	pages are lost: poison_post() one entry; return 0, -errno.
 *		@delivered: the guest got a machine check for them before.
 *		Called by the threads that place pages: must not wait for
 *		another thread
 * @report:	something was posted: report it to the host. Called by a
 *		thread of its own, and by page_store_close(); NULL: never
 * @crash:	a page was dropped and could not be poisoned: the guest must
 *		not run any more
 */
struct page_store_events {
	void *ctx;
	int (*poisoned)(void *ctx, uint64_t gpa, uint64_t size,
			bool delivered);
	void (*report)(void *ctx);
	void (*crash)(void *ctx);
};

/**
 * struct place_calls - The system calls that place pages (uffd.h)
 *
 * The kernel's, but for tests that need one to fail or to wait.
 */
struct place_calls {
	int (*copy)(int fd, void *dst, const void *src, size_t len,
		    size_t *done);
	int (*zero)(int fd, void *dst, size_t len, size_t *done);
	int (*poison)(int fd, void *dst, size_t len, size_t *done);
	int (*move)(int fd, void *dst, void *src, size_t len, size_t *done);
};

struct placement_ops;
struct staging;

/**
 * struct page_store - See above
 * @ram:	the RAM
 * @uffd:	RAM is registered with it until every page is there; else -1
 * @can_poison:	this kernel has UFFDIO_POISON
 * @can_move:	blocks can be moved into @ram; cleared at the first refusal
 * @accepted:	the session has promised to run the guest: poison that can't
 *		be placed no longer refuses the guest, but walls off the page
 * @table:	state of each page
 * @arrived:	@table as it was when the store was closed, for
 *		page_store_show(); changed under @close_lock
 * @waiters:	vCPUs that wait
 * @stats:	the session's
 * @events:	the session's
 * @reporter:	reports poison that has arrived
 * @ops:	the placement
 * @staging:	partially received huge pages, or NULL
 * @call:	system calls
 * @close_lock:	@uffd stays open while a page is poisoned on purpose, and
 *		@table stays while it is shown; not on the fault path
 */
struct page_store {
	struct ram *ram;
	_Atomic int uffd;
	bool can_poison;
	_Atomic bool can_move, accepted;
	struct pages table, arrived;
	struct waiters waiters;
	struct page_stats *stats;
	struct page_store_events events;
	struct reporter reporter;
	const struct placement_ops *ops;
	struct staging *staging;
	struct place_calls call;
	pthread_mutex_t close_lock;
};

/**
 * page_store_init() - A store without RAM
 * @s:		filled in
 * @stats:	where to count
 * @events:	copied
 * @can_poison:	this kernel has UFFDIO_POISON, and shall use it
 */
void page_store_init(struct page_store *s, struct page_stats *stats,
		     const struct page_store_events *events, bool can_poison);

/** page_store_fini() - Close and free all; after page_store_close() */
void page_store_fini(struct page_store *s);

/**
 * page_store_open() - Register RAM, all pages of which are missing
 * @s:		the store, initialized or closed
 * @ram:	empty RAM (invariant 11)
 * @err:	why not
 *
 * Return: 0, -errno; then page_store_close() is still needed
 */
int page_store_open(struct page_store *s, struct ram *ram, struct error *err);

/**
 * page_store_abandon() - Missing pages read as zeroes from now on
 * @s:		the store
 *
 * Ends the wait of threads for missing pages, whose machine must not run the
 * guest then. Fine on a store that is not open; any thread.
 */
void page_store_abandon(struct page_store *s);

/**
 * page_store_close() - Unregister RAM, and free the table and the buffers
 * @s:		the store, used by no other thread but by page_store_inject();
 *		fine on one that is not open
 *
 * Missing pages and those known to be zeroes become untouched memory, which
 * reads as zeroes. Poison stays (tests/kernel/poison-survives.c). The counters
 * of @s->table stay, and how each page arrived, until the store is opened again.
 */
void page_store_close(struct page_store *s);

/**
 * page_store_message() - Place what a PAGES, ZERO or POISON message carries
 * @s:		the store
 * @msg:	header, checked by wire_get()
 * @data:	payload
 * @demanded:	a vCPU waits: called by the fault thread, which does not
 *		wait for bulk threads
 * @err:	why not, naming the address
 *
 * A page that is there, poisoned or not, keeps what it has (invariant 1).
 *
 * Return: 0, -EBADMSG (other message, or not RAM), -ENOTSUP (poison that
 *	   this kernel can't place, and the guest is not @accepted), -errno
 */
int page_store_message(struct page_store *s, const struct wire_msg *msg,
		       const uint8_t *data, bool demanded, struct error *err);

/** page_store_can_move() - May blocks be moved into this RAM? */
bool page_store_can_move(const struct page_store *s);

/**
 * page_store_takes_block() - Could a block that begins at an address be moved?
 * @s:		the store
 * @gpa:	where the run begins that has arrived
 * @first:	set to the block's first page, if so
 *
 * Return: true if 2 MiB begin there, nothing of them is here, and no vCPU waits
 *	   for a part of them
 */
bool page_store_takes_block(const struct page_store *s, uint64_t gpa,
			    size_t *first);

/**
 * page_store_block() - Place a whole block
 * @s:		the store
 * @first:	its first page, from page_store_takes_block()
 * @b:		has its contents, and is one huge page
 * @err:	why not
 *
 * For bulk threads. Moves the huge page into RAM if page_store_takes_block() is
 * still true; else its pages are copied, and a page that is there keeps what it
 * has (invariant 1).
 *
 * Return: as page_store_message()
 */
int page_store_block(struct page_store *s, size_t first,
		     struct huge_buffer *b, struct error *err);

/**
 * page_store_contents() - Place pages whose message was counted before
 * @s:		the store
 * @page:	first page, all of them in RAM
 * @data:	contents
 * @n:		pages
 * @err:	why not
 *
 * For bulk threads.
 *
 * Return: as page_store_message()
 */
int page_store_contents(struct page_store *s, size_t page,
			const uint8_t *data, size_t n, struct error *err);

/**
 * page_store_received() - Count a message; page_store_message() does it itself
 * @s:		the store
 * @msg:	header
 * @demanded:	it came on the demand connection
 */
void page_store_received(struct page_store *s, const struct wire_msg *msg,
			 bool demanded);

/**
 * page_store_pass() - Place what a message of a precopy pass carries
 * @s:		the store, before the hand-over
 * @msg:	header, checked by wire_get()
 * @data:	payload
 * @err:	why not, naming the address
 *
 * As page_store_message(), but for the session thread only, while no vCPU runs:
 * contents replace those that are here. A message of POISON is refused.
 *
 * Return: as page_store_message()
 */
int page_store_pass(struct page_store *s, const struct wire_msg *msg,
		    const uint8_t *data, struct error *err);

/**
 * page_store_discard() - What precopy passes have brought is out of date
 * @s:		the store, before the hand-over
 * @page:	first page, by offset in RAM
 * @n:		pages, all of them in RAM; with huge pages whole ones
 * @err:	why not
 *
 * The pages are missing afterwards, those of ZERO_LIST, too.
 *
 * Return: 0, -EBADMSG (a part of a huge page), -errno
 */
int page_store_discard(struct page_store *s, size_t page, size_t n,
		       struct error *err);

/** page_store_has_old() - Are contents of one of these pages here? */
bool page_store_has_old(const struct page_store *s, size_t page, size_t n);

/**
 * page_store_poison() - Poison a range that the source listed
 * @s:		the store
 * @gpa:	first page
 * @n:		pages
 * @delivered:	the guest got a machine check for them before
 * @err:	why not, naming the address
 *
 * Return: as page_store_message()
 */
int page_store_poison(struct page_store *s, uint64_t gpa, size_t n,
		      bool delivered, struct error *err);

/**
 * page_store_set_zero() - Mark a range that the source listed as zeroes
 * @s:		the store
 * @page:	first page, by offset in RAM
 * @n:		pages, all of them in RAM
 *
 * Costs one atomic operation for each 2 MiB that is wholly missing. After the
 * last range call page_store_settle().
 */
void page_store_set_zero(struct page_store *s, size_t page, size_t n);

/**
 * page_store_set_missing() - The source has written pages of a listed range
 * @s:		the store
 * @page:	first page, by offset in RAM
 * @n:		pages, all of them in RAM
 *
 * Before the guest can touch RAM, and before page_store_settle().
 */
void page_store_set_missing(struct page_store *s, size_t page, size_t n);

/**
 * page_store_settle() - Place the huge pages that are complete
 * @s:		the store
 * @err:	why not
 *
 * For pages that page_store_set_zero() has completed.
 *
 * Return: 0, -errno
 */
int page_store_settle(struct page_store *s, struct error *err);

/**
 * struct page_wants - What a fault needs from the source
 * @first:	page of bit 0
 * @bits:	pages to request
 * @any:	some bit is set
 */
struct page_wants {
	size_t first;
	uint64_t bits[CHUNK_PAGES / 64];
	bool any;
};

/**
 * page_store_fault() - A thread waits for a page; the fault thread only
 * @s:		the store
 * @page:	the page, by offset in RAM
 * @vcpu:	vCPU that waits, or PAGE_STATS_OTHER
 * @ask:	there is a source that can be asked
 * @wants:	filled in: pages to request, once each; none without @ask, which
 *		page_store_waits_next() finds later
 * @err:	why not
 *
 * Places a page that needs no source; wakes the thread if the page is there.
 *
 * Return: 0, -errno
 */
int page_store_fault(struct page_store *s, size_t page, unsigned vcpu,
		     bool ask, struct page_wants *wants, struct error *err);

/**
 * struct page_waits - The pages to request again after a lost link
 * @page:	pages that vCPUs are known to wait for, the longest wait first
 * @n:		how many
 * @at:		those below were returned
 * @next:	pages below were looked at
 */
struct page_waits {
	struct waiting_page page[WAITERS_MAX];
	unsigned n, at;
	size_t next;
};

/**
 * page_store_waits_begin() - Find what must be requested again
 * @s:		the store, after a lost link
 * @w:		filled in
 *
 * The fault thread only, once there is a source again, and before it requests
 * anything from it.
 */
void page_store_waits_begin(struct page_store *s, struct page_waits *w);

/**
 * page_store_waits_next() - What the next wait needs from the source
 * @s:		the store
 * @w:		the search
 * @wants:	set to the pages to request
 *
 * First the pages in order of age, then those whose age is not known. One call
 * may cause page_store_requests_max() REQUEST messages.
 *
 * Return: true; false if there is none left
 */
bool page_store_waits_next(struct page_store *s, struct page_waits *w,
			   struct page_wants *wants);

/**
 * page_store_report() - What of RAM is here, for REPORT
 * @s:		the store. No thread receives pages: the receive threads have
 *		ended and the fault thread has no source. So no page is being
 *		placed but zeroes, which are reported as zeroes, and huge pages
 *		that are being received are reported page by page
 * @from:	page to begin at, 0 at first; set to where to go on
 * @run:	filled in: ascending, disjoint, maximal runs, none HAVE_ABSENT
 * @max:	at most so many
 *
 * Return: runs; 0 if there is none from @from on
 */
size_t page_store_report(const struct page_store *s, size_t *from,
			 struct page_run *run, size_t max);

/**
 * page_store_is_demanded() - Was a message of the demand connection requested?
 * @s:		the store
 * @msg:	header
 *
 * One page was requested; more follow an answer, unless faults request runs.
 */
bool page_store_is_demanded(const struct page_store *s,
			    const struct wire_msg *msg);

/**
 * page_store_show() - What query-ferry-pages says about pages
 * @s:		the store, open or closed
 * @page:	first page
 * @n:		pages
 * @to:		filled in: enum page_show of each
 *
 * Of a closed store: as they arrived. Any thread; waits only for the threads
 * that open or close the store.
 *
 * Return: false if the store was never open, or is too small: @to is unchanged
 */
bool page_store_show(struct page_store *s, size_t page, size_t n,
		     uint8_t *to);

/** page_store_requests_max() - REQUEST messages that one fault may cause */
size_t page_store_requests_max(const struct page_store *s);

/**
 * page_store_inject() - Poison a page on purpose, in any state
 * @s:		the store
 * @offset:	of the page in RAM
 * @simulate:	by a marker; else for real
 * @err:	why not
 *
 * Return: 0 if it is poisoned, or will be before a vCPU can touch it; 1 to
 *	   have it done as on a machine whose RAM is not registered; -EAGAIN,
 *	   -ENOTSUP, -errno
 */
int page_store_inject(struct page_store *s, uint64_t offset, bool simulate,
		      struct error *err);

#endif /* FERRY_PAGE_STORE_H */
