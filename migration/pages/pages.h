/* SPDX-License-Identifier: MIT */
/*
 * pages.h - State of each page of a destination's RAM (pure)
 *
 *	MISSING ──► REQUESTED ─┐
 *	   │                   ├──► COPYING ──────────────────────► PRESENT
 *	   └──► ZERO ──────────┤       └──► COPYING_TWICE ─► HELD ─────┘ │
 *	                       └──► POISONING ─────────────────► POISONED, terminal
 *
 * PRESENT becomes MISSING again by pages_forget() only: before the hand-over, when
 * the source says that a copy of a precopy pass is out of date. No vCPU runs
 * then, and no page is being placed.
 *
 * The table is what makes poison terminal (invariant 2): the kernel lets
 * UFFDIO_COPY and UFFDIO_ZEROPAGE replace a poison marker
 * (tests/kernel/poison-overwrite.c). A thread calls such an ioctl for a page
 * only while the page counts that thread as one of its copiers.
 *
 * Two threads may copy the same page. The fault thread runs at real-time
 * priority and must not wait for a bulk thread that holds a claim and is
 * preempted. So the fault thread joins the claim (COPYING_TWICE) and copies,
 * too; the kernel gives EEXIST to the second. The page accepts poison only
 * when the last copier has left:
 *
 *	(a) COPYING, COPYING_TWICE and HELD have 1, 2 and 1 copiers. Claim and
 *	    join add one before the ioctl, pages_placed() and pages_released()
 *	    subtract one after it, each by one compare-and-exchange.
 *	(b) pages_claim_poison() takes only MISSING, REQUESTED and ZERO, and
 *	    pages_lose() takes only PRESENT: states with 0 copiers.
 *	(c) POISONING and POISONED can't be claimed or joined.
 *
 * By (a) and (b) no copy is under way when a poison ioctl begins; by (c) none
 * begins afterwards. No state leads out of POISONED: pages_forget() takes only
 * PRESENT.
 *
 * missing + zero + present + poisoned = all pages (invariant 10). A page that
 * is being placed counts as what it was; HELD counts as present.
 *
 * Representation: one byte a page, eight bytes to an atomic word, so that a
 * run of 64 pages costs eight atomic operations. A chunk of 512 pages has one
 * byte that is decided once: FRESH becomes MIXED when the first page of the
 * chunk changes, or ZERO when the whole chunk is reported to be zeroes before
 * that. Page bytes of 0 mean MISSING, in a ZERO chunk they mean ZERO. So one
 * store marks 2 MiB, and a table of 64 GiB is filled in well under 1 ms.
 */
#ifndef FERRY_PAGES_H
#define FERRY_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "page_run.h"
#include "page_show.h"

enum page_state {
	PAGE_MISSING,		/* not here, not requested */
	PAGE_REQUESTED,		/* not here, a vCPU waits: the source is asked */
	PAGE_ZERO,		/* not here, known to be zeroes */
	PAGE_COPYING,		/* one thread copies it */
	PAGE_COPYING_TWICE,	/* a bulk thread and the fault thread do */
	PAGE_HELD,		/* here, the second copier has not returned */
	PAGE_POISONING,		/* one thread poisons it */
	PAGE_PRESENT,
	PAGE_POISONED,
	PAGE_STATES
};

/**
 * struct pages - The table
 * @word:	eight page bytes each
 * @chunk:	one byte a chunk
 * @n:		pages
 * @missing:	pages that are neither here nor known
 * @zero:	pages known to be zeroes
 * @present:	pages here
 * @poisoned:	pages lost
 */
struct pages {
	_Atomic uint64_t *word;
	_Atomic uint8_t *chunk;
	size_t n;
	_Atomic size_t missing, zero, present, poisoned;
};

/**
 * pages_init() - A table in which every page is missing
 * @t:		filled in
 * @n:		pages
 *
 * Return: 0, -ENOMEM
 */
int pages_init(struct pages *t, size_t n);

/** pages_fini() - Free it; the counters stay */
void pages_fini(struct pages *t);

/** pages_get() - State of a page */
enum page_state pages_get(const struct pages *t, size_t i);

/**
 * pages_request() - Mark a page as requested
 * @t:		the table
 * @i:		the page
 *
 * A page in state COPYING is marked, too, and keeps its state: the caller
 * does not rely on the thread that copies it.
 *
 * Return: true if the caller must request the page; false if it is not
 *	   missing, or was requested before
 */
bool pages_request(struct pages *t, size_t i);

/**
 * pages_claim() - Become the copier of a run of pages
 * @t:		the table
 * @i:		first page
 * @n:		pages
 *
 * Claims pages that are MISSING, REQUESTED or ZERO, up to the first that is
 * not. The caller must end each with pages_placed() or pages_released().
 *
 * Return: pages claimed, from @i on
 */
size_t pages_claim(struct pages *t, size_t i, size_t n);

/**
 * pages_claim_demanded() - Become the copier of one page, or the second one
 * @t:		the table
 * @i:		the page
 *
 * For the fault thread only. As pages_claim(), but joins a thread that copies
 * the page, unless the page is known to be zeroes. UFFDIO_COPY then returns
 * EEXIST to one of the two.
 *
 * Return: true if the caller is a copier
 */
bool pages_claim_demanded(struct pages *t, size_t i);

/**
 * pages_placed() - A copier leaves: the pages are in place
 * @t:		the table
 * @i:		first page
 * @n:		pages, each claimed or joined by the caller
 */
void pages_placed(struct pages *t, size_t i, size_t n);

/**
 * pages_released() - A copier leaves without having placed the pages
 * @t:		the table
 * @i:		first page
 * @n:		pages, each claimed or joined by the caller
 *
 * A page becomes what it was, unless the other copier has placed it.
 */
void pages_released(struct pages *t, size_t i, size_t n);

/**
 * pages_claim_poison() - Become the thread that poisons a run of pages
 * @t:		the table
 * @i:		first page
 * @n:		pages
 *
 * Takes the same states as pages_claim(). The caller must end each page with
 * one of the three functions below.
 *
 * Return: pages claimed, from @i on
 */
size_t pages_claim_poison(struct pages *t, size_t i, size_t n);

/** pages_poisoned() - Claimed pages are poisoned */
void pages_poisoned(struct pages *t, size_t i, size_t n);

/** pages_poison_refused() - Claimed pages hold contents: they are PRESENT */
void pages_poison_refused(struct pages *t, size_t i, size_t n);

/** pages_poison_released() - Claimed pages become what they were */
void pages_poison_released(struct pages *t, size_t i, size_t n);

/**
 * pages_set_zero() - Mark the missing pages of a run as zeroes
 * @t:		the table
 * @i:		first page
 * @n:		pages
 *
 * Pages in any other state than MISSING keep it.
 *
 * Return: pages marked
 */
size_t pages_set_zero(struct pages *t, size_t i, size_t n);

/**
 * pages_set_missing() - Pages that were marked as zeroes are not, after all
 * @t:		the table
 * @i:		first page
 * @n:		pages
 *
 * Only while no other thread changes the table: before the guest can touch RAM.
 * Pages in any other state than ZERO keep it.
 *
 * Return: pages that are MISSING now and were ZERO
 */
size_t pages_set_missing(struct pages *t, size_t i, size_t n);

/**
 * pages_forget() - Pages whose contents are out of date are missing again
 * @t:		the table
 * @i:		first page
 * @n:		pages
 *
 * To be called after their memory was dropped, and only before the guest can
 * touch RAM. Pages in any other state than PRESENT keep it.
 *
 * Return: pages that are MISSING now and were PRESENT
 */
size_t pages_forget(struct pages *t, size_t i, size_t n);

/**
 * pages_lose() - Mark a PRESENT page as POISONED, before it is dropped
 * @t:		the table
 * @i:		the page
 *
 * For poison made here on purpose. No copy can replace it from now on.
 *
 * Return: true if the page was PRESENT
 */
bool pages_lose(struct pages *t, size_t i);

/**
 * pages_next_requested() - Find a page in state REQUESTED
 * @t:		the table
 * @i:		where to start
 * @end:	where to stop
 *
 * Return: the page, or @end
 */
size_t pages_next_requested(const struct pages *t, size_t i, size_t end);

/**
 * pages_run() - What this side has of a page and of those after it
 * @t:		the table
 * @i:		first page
 * @end:	where to stop
 * @have:	set to what it has: HAVE_ABSENT, _PRESENT, _ZERO or _POISONED
 *
 * A page that is being placed is what it was before; one that is being poisoned
 * is absent.
 *
 * Return: pages of which it has the same, from @i on; 0 if @i is @end
 */
size_t pages_run(const struct pages *t, size_t i, size_t end,
		 enum page_have *have);

/**
 * pages_show() - What query-ferry-pages says about pages
 * @t:		the table; other threads may change it meanwhile
 * @i:		first page
 * @n:		pages
 * @to:		filled in: enum page_show of each
 */
void pages_show(const struct pages *t, size_t i, size_t n, uint8_t *to);

/** pages_is_copied_zero() - Does a thread copy a page known to be zeroes? */
bool pages_is_copied_zero(const struct pages *t, size_t i);

/**
 * pages_zero_bits() - Which of 64 pages are ZERO
 * @t:		the table
 * @i:		first page, a multiple of 64; 64 pages must exist
 *
 * Return: one bit a page, lowest first
 */
uint64_t pages_zero_bits(const struct pages *t, size_t i);

#endif /* FERRY_PAGES_H */
