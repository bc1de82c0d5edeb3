// SPDX-License-Identifier: MIT
/*
 * place_small.c - Placement in RAM of 4 KiB pages
 *
 * Claim in the table, ioctl, settle in the table. Runs are kept as long as
 * possible: an ioctl for many pages costs little more than one for one.
 */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "mutant.h"
#include "placement.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/memory/uffd.h"

#define ZERO_AROUND	32	/* zero pages placed for one fault */
#define DROP_TRIES	1000

static void settle_placed(struct page_store *s, size_t page, size_t n)
{
	if (!n)
		return;
	pages_placed(&s->table, page, n);
	waiters_done(&s->waiters, page, n);
}

/*
 * The kernel found a page. If a second copier has joined, it was faster. Else
 * the table should have known: the page stays (invariant 1), and is logged.
 */
static void found_present(struct page_store *s, size_t page)
{
	if (pages_get(&s->table, page) == PAGE_COPYING)
		log_line("0x%llx: page refused, %s", placement_gpa(s, page),
			 uffd_cause(-EEXIST));
	s->stats->duplicates++;
	placement_wake(s, page, 1);
	settle_placed(s, page, 1);
}

/* Place claimed pages. Return: pages placed by this thread, or -errno */
static long copy_run(struct page_store *s, size_t page, size_t n,
		     const uint8_t *data, struct error *err)
{
	long placed = 0;

	while (n) {
		size_t done;
		int rc = placement_copy(s, page, data, n, &done);

		settle_placed(s, page, done);
		placed += (long)done;
		if (rc == -EEXIST) {
			found_present(s, page + done);
			done++;
		} else if (rc) {
			pages_released(&s->table, page + done, n - done);
			return error_set(err, -rc,
				"cannot place a page at 0x%llx: %s",
				placement_gpa(s, page + done),
				uffd_cause(rc));
		}
		page += done;
		n -= done;
		data = data ? data + done * WIRE_PAGE : NULL;
	}
	return placed;
}

/* Return: pages claimed; the fault thread may become the second copier */
static size_t claim_run(struct page_store *s, size_t page, size_t n,
			bool demanded)
{
	size_t got;

	if (n > WIRE_RUN_PAGES)
		n = WIRE_RUN_PAGES;
	got = pages_claim(&s->table, page, n);
	return !got && demanded ? pages_claim_demanded(&s->table, page) : got;
}

static int small_contents(struct page_store *s, size_t page,
			  const uint8_t *data, size_t n, bool demanded,
			  struct error *err)
{
	while (n) {
		size_t got = claim_run(s, page, n, demanded);
		long placed = got ? copy_run(s, page, got, data, err) : 0;

		if (placed < 0)
			return (int)placed;
		s->stats->pages[demanded ? COUNT_DEMAND : COUNT_PUSH] +=
			(uint64_t)placed;
		if (!got) {
			s->stats->duplicates++;
			got = 1;
		}
		page += got;
		n -= got;
		data += got * WIRE_PAGE;
	}
	return 0;
}

/*
 * Move a claimed block. A thread that copies a page of it for a waiting vCPU
 * ends the move there. Return: pages moved
 */
static size_t move_block(struct page_store *s, size_t page,
			 struct huge_buffer *b)
{
	size_t done;
	int rc = s->call.move(s->uffd, placement_hva(s, page), b->data,
			      RAM_HUGE, &done);

	done /= WIRE_PAGE;
	if (rc && rc != -EEXIST && rc != -EBUSY && rc != -ENOMEM)
		s->can_move = false;
	settle_placed(s, page, done);
	s->stats->pages[COUNT_PUSH] += done;
	s->stats->blocks += done == CHUNK_PAGES;
	return done;
}

/*
 * A block with a page that was touched has a page table: its pages would be
 * moved one by one, which costs as much as to copy them, and the huge page
 * would have to be cleared again for the next block. So the caller has looked;
 * what changes after that is found here.
 */
static int small_block(struct page_store *s, size_t page,
		       struct huge_buffer *b, struct error *err)
{
	size_t n = pages_claim(&s->table, page, CHUNK_PAGES), moved = 0;
	long placed;
	int rc = 0;

	if (n == CHUNK_PAGES)
		moved = move_block(s, page, b);
	placed = copy_run(s, page + moved, n - moved,
			  b->data + moved * WIRE_PAGE, err);
	if (placed < 0)
		return (int)placed;
	s->stats->pages[COUNT_PUSH] += (uint64_t)placed;
	if (n < CHUNK_PAGES)
		rc = small_contents(s, page + n, b->data + n * WIRE_PAGE,
				    CHUNK_PAGES - n, false, err);
	if (moved)
		huge_buffer_moved(b);
	return rc;
}

/* A vCPU waits for it, so it can't wait until it is touched again */
static int place_zero(struct page_store *s, size_t page, bool demanded,
		      struct error *err)
{
	long placed;

	if (!claim_run(s, page, 1, demanded))
		return 0;
	placed = copy_run(s, page, 1, NULL, err);
	if (placed > 0)
		s->stats->pages[COUNT_ZERO]++;
	return placed < 0 ? (int)placed : 0;
}

static int small_zero(struct page_store *s, size_t page, size_t n,
		      bool demanded, struct error *err)
{
	const size_t end = page + n;
	int rc = 0;

	if (demanded && n == 1 && pages_get(&s->table, page) == PAGE_COPYING)
		return place_zero(s, page, true, err);
	while (!rc && (page = pages_next_requested(&s->table, page, end)) <
		      end)
		rc = place_zero(s, page++, demanded, err);
	return rc;
}

/* Place zero pages from one that is touched on */
static int zero_fault(struct page_store *s, size_t page, struct error *err)
{
	size_t n = 0;
	long rc;

	while (n < ZERO_AROUND && page + n < s->table.n &&
	       pages_get(&s->table, page + n) == PAGE_ZERO)
		n++;
	n = pages_claim(&s->table, page, n);
	rc = n ? copy_run(s, page, n, NULL, err) : 0;
	return rc < 0 ? (int)rc : 0;
}

/* A fault on a page whose state needs no source. Return: false if it needs one */
static bool fault_here(struct page_store *s, size_t page, int *rc,
		       struct error *err)
{
	switch (pages_get(&s->table, page)) {
	case PAGE_ZERO:
		*rc = zero_fault(s, page, err);
		return true;
	case PAGE_HELD:
	case PAGE_PRESENT:
	case PAGE_POISONED:
		waiters_done(&s->waiters, page, 1);
		placement_wake(s, page, 1);
		*rc = 0;
		return true;
	default:
		return false;
	}
}

/*
 * The entry in @waiters precedes the second look at the page: a page that is
 * placed after the entry ends it, one that was placed before is seen here. If
 * the page is neither, the ioctl that places it wakes the thread.
 */
static int small_fault(struct page_store *s, size_t page, unsigned vcpu,
		       bool ask, struct page_wants *wants, struct error *err)
{
	int rc = 0;

	if (fault_here(s, page, &rc, err))
		return rc;
	waiters_add(&s->waiters, page, vcpu, now_ns());
	if (!pages_request(&s->table, page))
		fault_here(s, page, &rc, err);
	else if (ask)
		placement_want(wants, page);
	return rc;
}

static void small_wanted(struct page_store *s, size_t page,
			 struct page_wants *wants)
{
	if (pages_get(&s->table, page) == PAGE_REQUESTED)
		placement_want(wants, page);
}

static size_t small_staged(const struct page_store *s, size_t page, size_t n,
			   enum page_have *have)
{
	(void)s;
	(void)page;
	*have = HAVE_ABSENT;
	return n;
}

static int wall_off(struct page_store *s, size_t page, size_t n,
		    size_t *done)
{
	int rc = ram_wall(s->ram, page * WIRE_PAGE, n * WIRE_PAGE);

	*done = rc ? 0 : n;
	if (!rc)
		placement_wake(s, page, n);
	return rc;
}

static int poison_once(struct page_store *s, size_t page, size_t n,
		       size_t *done)
{
	int rc;

	if (!s->can_poison)
		return wall_off(s, page, n, done);
	rc = s->call.poison(s->uffd, placement_hva(s, page), n * WIRE_PAGE,
			    done);
	*done /= WIRE_PAGE;
	return rc;
}

static void poison_refused(struct page_store *s, size_t page)
{
	log_line("0x%llx: poison refused, %s", placement_gpa(s, page),
		 uffd_cause(-EEXIST));
	s->stats->refused++;
	placement_wake(s, page, 1);
	pages_poison_refused(&s->table, page, 1);
	waiters_done(&s->waiters, page, 1);
}

/* Settle pages that are poisoned. One ioctl was one entry and one event */
static int settle_poisoned(struct page_store *s, size_t page, size_t n,
			   bool delivered, struct error *err)
{
	int rc = 0;

	if (!n)
		return 0;
	if (s->can_poison)
		rc = placement_lost(s, page, n, delivered, err);
	pages_poisoned(&s->table, page, n);
	waiters_done(&s->waiters, page, n);
	return rc;
}

/*
 * Poison claimed pages. A page that is walled off must be in the list before a
 * vCPU can touch it: the vCPU asks the list.
 */
static int poison_run(struct page_store *s, size_t page, size_t n,
		      bool delivered, struct error *err)
{
	int rc = s->can_poison ? 0 : placement_lost(s, page, n, delivered,
						    err);

	while (n && !rc) {
		size_t done;
		int why = poison_once(s, page, n, &done);

		rc = settle_poisoned(s, page, done, delivered, err);
		page += done;
		n -= done;
		if (why == -EEXIST) {
			poison_refused(s, page++);
			n--;
		} else if (why) {
			rc = error_set(err, -why,
				"cannot poison a page at 0x%llx: %s",
				placement_gpa(s, page), uffd_cause(why));
		}
	}
	pages_poison_released(&s->table, page, n);
	return rc;
}

/* What a VMM without such a table would do sooner or later */
static void copy_over_poison(struct page_store *s, size_t page, size_t n)
{
	static const uint8_t stale[WIRE_PAGE];
	size_t done;

	for (size_t i = 0; i < n; i++)
		uffd_copy(s->uffd, placement_hva(s, page + i), stale,
			  WIRE_PAGE, &done);
}

static int small_poison(struct page_store *s, size_t page, size_t n,
			bool delivered, struct error *err)
{
	int rc = 0;

	while (n && !rc) {
		size_t got = pages_claim_poison(&s->table, page, n);

		if (got) {
			rc = poison_run(s, page, got, delivered, err);
			if (mutant("late-copy"))
				copy_over_poison(s, page, got);
		} else {
			s->stats->refused++;
			got = 1;
		}
		page += got;
		n -= got;
	}
	return rc;
}

/*
 * Replace a present page by a marker. A vCPU that touches an anonymous page in
 * between waits for the fault thread, which leaves poisoned pages alone. In a
 * memfd the touch maps the file's page, whose contents are still right: the
 * kernel then refuses the marker, and the page is dropped again.
 */
static int replace_present(struct page_store *s, size_t page,
			   struct error *err)
{
	size_t done;
	int rc = -EEXIST;

	for (unsigned i = 0; i < DROP_TRIES && rc == -EEXIST; i++) {
		if (madvise(placement_hva(s, page), WIRE_PAGE, MADV_DONTNEED))
			return error_set(err, errno, "MADV_DONTNEED: %s",
					 strerrordesc_np(errno));
		rc = poison_once(s, page, 1, &done);
	}
	/* The contents are gone and nothing marks the page: stop the guest */
	if (rc)
		s->events.crash(s->events.ctx);
	return rc ? error_set(err, -rc, "UFFDIO_POISON at 0x%llx: %s",
			      placement_gpa(s, page), uffd_cause(rc)) : 0;
}

static int small_inject(struct page_store *s, size_t page, struct error *err)
{
	size_t done;
	int rc;

	if (pages_lose(&s->table, page))
		return replace_present(s, page, err);
	if (!pages_claim_poison(&s->table, page, 1))
		return error_set(err, EAGAIN,
			"the page is just arriving: try again");
	rc = poison_once(s, page, 1, &done);
	if (!rc) {
		pages_poisoned(&s->table, page, 1);
		waiters_done(&s->waiters, page, 1);
		s->stats->pages[COUNT_POISON]++;
		return 0;
	}
	if (rc == -EEXIST)
		poison_refused(s, page);
	else
		pages_poison_released(&s->table, page, 1);
	return error_set(err, -rc, "cannot poison a page at 0x%llx: %s",
			 placement_gpa(s, page), uffd_cause(rc));
}

static int small_init(struct page_store *s)
{
	(void)s;
	return 0;
}

static void small_fini(struct page_store *s)
{
	(void)s;
}

static int small_settle(struct page_store *s, struct error *err)
{
	(void)s;
	(void)err;
	return 0;
}

static bool small_has_old(const struct page_store *s, size_t page)
{
	return pages_get(&s->table, page) == PAGE_PRESENT;
}

static int small_replace(struct page_store *s, size_t page,
			 const uint8_t *data, size_t n, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = placement_overwrite(s, page + i,
					 data ? data + i * WIRE_PAGE : NULL,
					 err);
	return rc;
}

/* Only pages that are here are dropped: dropping poison would erase it */
static int small_discard(struct page_store *s, size_t page, size_t n,
			 struct error *err)
{
	const size_t end = page + n;
	int rc = 0;

	for (size_t now; page < end && !rc; page += now) {
		enum page_have have;

		now = pages_run(&s->table, page, end, &have);
		if (have != HAVE_PRESENT)
			continue;
		rc = ram_drop(s->ram, page * WIRE_PAGE, now * WIRE_PAGE, err);
		if (!rc)
			s->stats->again += pages_forget(&s->table, page, now);
	}
	return rc;
}

const struct placement_ops placement_small = {
	.name		= "small pages",
	.requests_max	= 1,
	.init		= small_init,
	.fini		= small_fini,
	.contents	= small_contents,
	.block		= small_block,
	.zero		= small_zero,
	.poison		= small_poison,
	.fault		= small_fault,
	.wanted		= small_wanted,
	.staged		= small_staged,
	.inject		= small_inject,
	.settle		= small_settle,
	.has_old	= small_has_old,
	.replace	= small_replace,
	.discard	= small_discard,
};
