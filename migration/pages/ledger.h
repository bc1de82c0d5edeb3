/* SPDX-License-Identifier: MIT */
/*
 * ledger.h - Pages of a source's RAM that were taken to be sent (pure)
 *
 * One atomic bit a page. Push threads and the demand thread take pages before
 * they read them, so that no page is pushed twice.
 *
 * A second bit says that the page is unsure: it was sent on a connection that
 * was lost, and whether it has arrived is not known until the destination
 * reports what it has. It is sent again, but poison made on purpose here would
 * have no effect on a copy that has arrived: ledger_hold() refuses the page.
 *
 * Poison made on purpose takes a page, too, so that no thread reads it
 * meanwhile; but a held page was not sent, and still counts as left. So
 * ledger_left() is 0 only when nothing can come back, and one load tells a
 * push thread that it is done. At most one page is held at a time (the
 * machine's inject_lock).
 */
#ifndef FERRY_LEDGER_H
#define FERRY_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "page_run.h"
#include "page_show.h"

/**
 * struct ledger - The pages
 * @word:	bits: the page was taken
 * @unsure:	bits: the page may have arrived, whether it is taken or not
 * @demanded:	bits: it was taken by ledger_take_demanded(), for ledger_show()
 * @dirty:	bits, for ledger_show(): a precopy pass has sent the page, and it
 *		was written since. NULL without ledger_dirty_begin()
 * @shows_dirty: ledger_show() looks at @dirty
 * @n:		pages
 * @left:	pages that are not taken, or held
 * @hold:	the page held (plus 1, 0 for none) in the low 34 bits; above it
 *		a number that each change of @hold increments
 */
struct ledger {
	_Atomic uint64_t *word, *unsure, *demanded;
	_Atomic uint64_t *dirty;
	_Atomic bool shows_dirty;
	size_t n;
	_Atomic size_t left;
	_Atomic uint64_t hold;
};

/**
 * ledger_init() - A ledger in which no page is taken
 * @l:		filled in
 * @n:		pages
 *
 * Return: 0, -ENOMEM
 */
int ledger_init(struct ledger *l, size_t n);

/** ledger_fini() - Free it; fine on one that is all zeroes */
void ledger_fini(struct ledger *l);

/** ledger_test() - Was a page taken? */
bool ledger_test(const struct ledger *l, size_t i);

/**
 * ledger_show() - What query-ferry-pages says about pages
 * @l:		the ledger; other threads may change it meanwhile
 * @i:		first page
 * @n:		pages
 * @to:		filled in: enum page_show of each
 */
void ledger_show(const struct ledger *l, size_t i, size_t n, uint8_t *to);

/**
 * ledger_dirty_begin() - Precopy passes begin: no page is dirty yet
 * @l:		the ledger
 *
 * Return: 0, -ENOMEM
 */
int ledger_dirty_begin(struct ledger *l);

/** ledger_dirty_set() - Dirty pages among 64: bit i is page 64 * @word + i */
void ledger_dirty_set(struct ledger *l, size_t word, uint64_t bits);

/** ledger_dirty_sent() - Pages are sent again, @n from @i on */
void ledger_dirty_sent(struct ledger *l, size_t i, size_t n);

/** ledger_dirty_end() - No page is dirty any more; fine without a beginning */
void ledger_dirty_end(struct ledger *l);

/** ledger_left() - Pages that were not sent; 0: every page was taken */
size_t ledger_left(const struct ledger *l);

/**
 * ledger_take() - Take a run of pages, up to the first that was taken
 * @l:		the ledger
 * @i:		first page
 * @max:	longest run wanted
 *
 * Return: pages taken, from @i on
 */
size_t ledger_take(struct ledger *l, size_t i, size_t max);

/**
 * ledger_give_back() - Pages that were taken were not sent after all
 * @l:		the ledger
 * @i:		first page
 * @n:		pages
 *
 * Return: pages that had been taken, and can be taken again now
 */
size_t ledger_give_back(struct ledger *l, size_t i, size_t n);

/**
 * ledger_send_again() - Pages that were sent may not have arrived
 * @l:		the ledger
 * @i:		first page
 * @n:		pages
 *
 * Return: as ledger_give_back(); the pages are unsure from here on
 */
size_t ledger_send_again(struct ledger *l, size_t i, size_t n);

/** ledger_is_unsure() - Is it unknown if the destination has a page? */
bool ledger_is_unsure(const struct ledger *l, size_t i);

/**
 * ledger_take_demanded() - Take one page that the destination requested
 * @l:		the ledger
 * @i:		the page
 *
 * Waits while the page is held: it may be poisoned and come back meanwhile,
 * so neither answer is right before.
 *
 * Return: true if the caller has taken it; false if it was sent before
 */
bool ledger_take_demanded(struct ledger *l, size_t i);

/**
 * ledger_hold() - Keep a page from being read, to poison it on purpose
 * @l:		the ledger
 * @i:		the page
 *
 * Return: true if it is held, until ledger_unhold(); false if it was taken, or
 * is unsure
 */
bool ledger_hold(struct ledger *l, size_t i);

/** ledger_unhold() - The held page may be taken again; fine if there is none */
void ledger_unhold(struct ledger *l);

/**
 * ledger_next() - The first page at or above one that was not taken
 * @l:		the ledger
 * @i:		where to start
 * @end:	where to stop
 *
 * Return: the page, or @end if there is none
 */
size_t ledger_next(const struct ledger *l, size_t i, size_t end);

/**
 * struct ledger_rebuild - A ledger that is set to what the destination reports
 * @l:		the ledger
 * @next:	pages below are set
 * @reported:	pages reported, by what the destination has
 * @added:	of these, pages that were not taken before
 * @removed:	pages that were taken, and count as not sent now
 */
struct ledger_rebuild {
	struct ledger *l;
	size_t next;
	size_t reported[PAGE_HAVES], added[PAGE_HAVES], removed;
};

/**
 * ledger_rebuild_begin() - Begin to set the ledger to what was received
 * @r:		filled in
 * @l:		the ledger. No thread takes pages or gives some back until
 *		ledger_rebuild_end(); one page may be held and released meanwhile
 *
 * After a lost link: what was in flight did not arrive. What is reported counts
 * as sent, all else as never sent. A page that is held stays so and counts as
 * left. A rebuild that is not ended leaves a part as it was; the next one,
 * from the beginning, corrects that.
 */
void ledger_rebuild_begin(struct ledger_rebuild *r, struct ledger *l);

/**
 * ledger_rebuild_run() - The next run that was received
 * @r:		the rebuild
 * @run:	from the peer, not trusted: must be pages of RAM, at least one,
 *		above all earlier runs, and not HAVE_ABSENT
 *
 * May wait some milliseconds for a held page of these to be released.
 *
 * Return: 0, -EBADMSG
 */
int ledger_rebuild_run(struct ledger_rebuild *r, const struct page_run *run);

/**
 * ledger_rebuild_end() - The last run was received: set what is above it
 * @r:		the rebuild
 *
 * No page is unsure any more.
 */
void ledger_rebuild_end(struct ledger_rebuild *r);

#endif /* FERRY_LEDGER_H */
