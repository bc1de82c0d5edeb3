/* SPDX-License-Identifier: MIT */
/*
 * passes.h - Which pages a source's precopy passes send, and how many (pure)
 *
 * Two bits a page: it must be sent (again), and a pass has sent it. A pass sends
 * the pages of the first kind. What the guest writes meanwhile is due in the
 * next pass; what is due when the guest is held and was sent before, is discarded
 * at the destination.
 *
 * Pages that the ledger has as taken and that no pass has sent are those of
 * ZERO_LIST: they stay out of the passes, and WRITTEN_LIST corrects them.
 */
#ifndef FERRY_PASSES_H
#define FERRY_PASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger.h"

#define PASSES_MAX	30u	/* of "auto", and for a user's number */
#define PASSES_AUTO	(PASSES_MAX + 1)

/**
 * struct passes - See above
 * @due:	bits: the page must be sent
 * @sent:	bits: a pass has sent it
 * @n:		pages
 * @words:	64-bit words of each of the two
 */
struct passes {
	uint64_t *due, *sent;
	size_t n, words;
};

/**
 * passes_init() - Nothing is due, nothing was sent
 * @p:		filled in
 * @n:		pages of RAM
 *
 * Return: 0, -ENOMEM
 */
int passes_init(struct passes *p, size_t n);

/** passes_fini() - Free it; fine on one that is all zeroes */
void passes_fini(struct passes *p);

/**
 * passes_due() - Count what is due, without ZERO_LIST's pages
 * @p:		the passes, into whose @due the dirty log was copied
 * @l:		the ledger
 *
 * Return: pages
 */
size_t passes_due(struct passes *p, const struct ledger *l);

/**
 * passes_stale() - Count pages that are due and were sent before
 * @p:		the passes
 * @l:		the ledger: between ledger_dirty_begin() and ledger_dirty_end() these
 *		pages become its dirty pages
 *
 * Return: pages
 */
size_t passes_stale(const struct passes *p, struct ledger *l);

/**
 * passes_run() - The next run that is due
 * @p:		the passes
 * @from:	where to start
 * @end:	where to stop
 * @n:		set to its length, at most WIRE_RUN_PAGES
 *
 * All pages of a run were sent before, or none was.
 *
 * Return: its first page; @end if there is none
 */
size_t passes_run(const struct passes *p, size_t from, size_t end, size_t *n);

/** passes_was_sent() - Has a pass sent this page? */
bool passes_was_sent(const struct passes *p, size_t page);

/** passes_sent() - A run is about to be read and sent */
void passes_sent(struct passes *p, size_t page, size_t n);

/**
 * passes_unsent() - A page of that run can't be read
 * @p:		the passes
 * @page:	the page
 * @first:	it was not sent before
 *
 * It stays due, so that an older copy is discarded.
 */
void passes_unsent(struct passes *p, size_t page, bool first);

/** passes_mark() - Pages are due: they can't be read any more, for example */
void passes_mark(struct passes *p, size_t page, size_t n);

/**
 * passes_discard() - The next run that the destination must forget
 * @p:		the passes, when the guest is held
 * @unit:	pages that the destination can only forget together: 1 or
 *		CHUNK_PAGES
 * @from:	where to start, a multiple of @unit
 * @n:		set to its length, a multiple of @unit
 *
 * Units of which a page was sent and a page is due, whether it is the same one
 * or not.
 *
 * Return: its first page; @p->n if there is none
 */
size_t passes_discard(const struct passes *p, size_t unit, size_t from,
		      size_t *n);

/**
 * struct pass_record - What the last pass has shown
 * @limit:	passes wanted: 1 to PASSES_MAX, or PASSES_AUTO
 * @done:	passes that were sent
 * @sent:	pages that the last one has sent
 * @due:	pages that are due after it
 * @ns:		how long it took
 */
struct pass_record {
	unsigned limit, done;
	uint64_t sent, due, ns;
};

/** passes_ns() - How long it would take to send what is due */
uint64_t passes_ns(const struct pass_record *r);

/**
 * passes_again() - Shall another pass be sent?
 * @r:		the record
 * @limit_ns:	"auto": what is due may be left if it is sent in this time
 *
 * Not if nothing is due, or after so many passes as are wanted. "auto" also ends
 * when a pass has left three quarters of what it has sent.
 */
bool passes_again(const struct pass_record *r, uint64_t limit_ns);

#endif /* FERRY_PASSES_H */
