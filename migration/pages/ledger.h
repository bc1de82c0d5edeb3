/* SPDX-License-Identifier: MIT */
/*
 * ledger.h - Pages of a source's RAM that were taken to be sent (pure)
 *
 * One atomic bit a page. Push threads and the demand thread take pages before
 * they read them, so that no page is pushed twice.
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

/**
 * struct ledger - The pages
 * @word:	bits: the page was taken
 * @n:		pages
 * @left:	pages that are not taken, or held
 * @hold:	the page held (plus 1, 0 for none) in the low 34 bits; above it
 *		a number that each change of @hold increments
 */
struct ledger {
	_Atomic uint64_t *word;
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
 * Return: true if it is held, until ledger_unhold(); false if it was taken
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

#endif /* FERRY_LEDGER_H */
