// SPDX-License-Identifier: MIT
/* cursor.c - Which pages to push next */

#include <stdbool.h>

#include "cursor.h"
#include "migration/wire/wire.h"

void cursor_fault(struct cursor *c, size_t page)
{
	c->wanted = page / CHUNK_PAGES + 1;
}

void cursor_restart(struct cursor *c)
{
	c->next = 0;
	c->wanted = 0;
}

static void chunk_set(struct cursor_chunk *chunk, const struct ledger *l,
		      size_t i)
{
	chunk->at = i * CHUNK_PAGES;
	chunk->end = l->n - chunk->at < CHUNK_PAGES ? l->n
						: chunk->at + CHUNK_PAGES;
	if (chunk->at >= l->n)
		chunk->at = chunk->end = 0;
}

static bool cursor_chunk_next(struct cursor *c, const struct ledger *l,
			      struct cursor_chunk *chunk)
{
	size_t i = c->wanted ? atomic_exchange(&c->wanted, 0) : 0;

	/* Not by adding alone: a thread that polls would let it overflow */
	if (i)
		i--;
	else if (c->next * CHUNK_PAGES < l->n)
		i = c->next++;
	else
		return false;
	chunk_set(chunk, l, i);
	return chunk->end;
}

static size_t take_between(struct ledger *l, size_t *at, size_t end,
			   size_t *first)
{
	while ((*at = ledger_next(l, *at, end)) < end) {
		size_t n, max = end - *at;

		n = ledger_take(l, *at, max < WIRE_RUN_PAGES ? max : WIRE_RUN_PAGES);
		*first = *at;
		*at += n;
		if (n)
			return n;
		/* Another thread was faster: look again from there */
	}
	return 0;
}

size_t cursor_take(struct cursor *c, struct ledger *l,
		   struct cursor_chunk *chunk, size_t *first)
{
	size_t n, from = 0;

	do {
		n = take_between(l, &chunk->at, chunk->end, first);
		if (n)
			return n;
	} while (cursor_chunk_next(c, l, chunk));
	n = take_between(l, &from, l->n, first);
	/* The next run is near: the search must not begin at page 0 again */
	if (n)
		chunk_set(chunk, l, from / CHUNK_PAGES);
	return n;
}
