/* SPDX-License-Identifier: MIT */
/*
 * pages.h - What each page of a destination's RAM is (pure)
 *
 *	MISSING ──► REQUESTED ──► PLACING ──► PRESENT
 *	   │                        ▲  └────► POISONED, terminal
 *	   └──► ZERO (known, not yet touched) ┘
 *
 * One atomic byte a page. Whoever moves a page to PLACING, and nobody else,
 * does the ioctl, and settles it. That is what keeps a late copy away from poison:
 * the kernel itself would let UFFDIO_COPY erase a marker (tests/kernel/poison-overwrite.c).
 *
 * missing + zero + present + poisoned = all pages, at all times (invariant
 * 10): pages being placed still count as what they were.
 */
#ifndef FERRY_PAGES_H
#define FERRY_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum page_state {
	PAGE_MISSING,		/* not here, not asked for */
	PAGE_REQUESTED,		/* a vCPU waits, the source was asked */
	PAGE_ZERO,		/* not here, but known to be zeroes */
	PAGE_PLACING,		/* somebody's ioctl is under way */
	PAGE_PRESENT,
	PAGE_POISONED,
};

/**
 * struct pages - The table
 * @state:	enum page_state, one a page
 * @n:		pages
 * @missing:	of them neither here nor known
 * @zero:	known to be zeroes
 * @present:	here
 * @poisoned:	lost
 */
struct pages {
	_Atomic uint8_t *state;
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

/** pages_fini() - Free it */
void pages_fini(struct pages *t);

/** pages_get() - What a page is now */
enum page_state pages_get(const struct pages *t, size_t i);

/**
 * pages_request() - Note that a page will be asked for
 * @t:		the table
 * @i:		the page
 *
 * Return: true if the caller shall ask; false if it's not missing, or
 *	   somebody asked before
 */
bool pages_request(struct pages *t, size_t i);

/**
 * pages_claim() - Become the one who places a page
 * @t:		the table
 * @i:		the page
 * @was:	set to what it was, for pages_settle() and pages_release()
 *
 * Return: true if the caller is the one; then it must settle or release it
 */
bool pages_claim(struct pages *t, size_t i, enum page_state *was);

/**
 * pages_settle() - A claimed page is in place
 * @t:		the table
 * @i:		the page
 * @was:	from pages_claim()
 * @now:	PAGE_PRESENT or PAGE_POISONED
 */
void pages_settle(struct pages *t, size_t i, enum page_state was,
		  enum page_state now);

/** pages_release() - A claimed page could not be placed: as before */
void pages_release(struct pages *t, size_t i, enum page_state was);

/**
 * pages_set_zero() - Missing pages of a stretch are known to be zeroes
 * @t:		the table
 * @i:		first page
 * @n:		pages
 *
 * Pages that were asked for, are being placed or are in place stay what they are.
 *
 * Return: how many it was true of
 */
size_t pages_set_zero(struct pages *t, size_t i, size_t n);

/**
 * pages_set_missing() - Pages that were reported as zeroes are not, after all
 * @t:		the table
 * @i:		first page
 * @n:		pages
 *
 * Before any page is placed. Pages in any other state than ZERO keep it.
 *
 * Return: pages that are missing now
 */
size_t pages_set_missing(struct pages *t, size_t i, size_t n);

/**
 * pages_poison_present() - Take a present page for poisoning
 * @t:		the table
 * @i:		the page
 *
 * For poison made here on purpose. From then on no copy can come over it.
 *
 * Return: true if it was present (and is poisoned now), false if not
 */
bool pages_poison_present(struct pages *t, size_t i);

#endif /* FERRY_PAGES_H */
