/* SPDX-License-Identifier: MIT */
/*
 * cursor.h - Which pages to push next (pure)
 *
 * Push threads take chunks of 2 MiB in ascending order, each by one atomic
 * operation, and then take the runs of their chunk from the ledger. The
 * chunk of the latest fault comes first: one atomic slot, which the next push
 * thread empties. A chunk may be handed out twice (by the slot and in order);
 * the ledger gives each page to one thread.
 *
 * When every chunk was handed out, a thread without work takes what the
 * others' chunks still hold, pages that were held (ledger.h), and pages of a
 * push connection that was lost (unacked.h). So every page is taken, whatever
 * the faults.
 */
#ifndef FERRY_CURSOR_H
#define FERRY_CURSOR_H

#include <stdatomic.h>
#include <stddef.h>

#include "ledger.h"

/**
 * struct cursor - Shared by the push threads; zeroed at the start
 * @next:	chunks below this were handed out
 * @wanted:	chunk of the latest fault, plus 1; 0 if it was handed out
 */
struct cursor {
	_Atomic size_t next, wanted;
};

/**
 * struct cursor_chunk - The rest of a push thread's chunk; zeroed at the start
 * @at:		next page
 * @end:	page after the last
 */
struct cursor_chunk {
	size_t at, end;
};

/**
 * cursor_fault() - A vCPU waits for a page: push its chunk next; any thread
 * @c:		the cursor
 * @page:	the page
 */
void cursor_fault(struct cursor *c, size_t page);

/**
 * cursor_restart() - Hand out every chunk again, from the first
 * @c:		the cursor, which no thread uses
 *
 * After ledger_rebuild_end(). The push threads begin with zeroed chunks.
 */
void cursor_restart(struct cursor *c);

/**
 * cursor_take() - Take the next run to push
 * @c:		the cursor
 * @l:		the ledger
 * @chunk:	the calling thread's
 * @first:	set to the run's first page
 *
 * Return: pages taken; 0 if none can be taken now, and none ever if
 *	   ledger_left() is 0
 */
size_t cursor_take(struct cursor *c, struct ledger *l,
		   struct cursor_chunk *chunk, size_t *first);

#endif /* FERRY_CURSOR_H */
