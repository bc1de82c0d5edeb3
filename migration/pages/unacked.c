// SPDX-License-Identifier: MIT
/* unacked.c - Pages that were sent and not acknowledged */

#include <errno.h>
#include <stdlib.h>

#include "unacked.h"
#include "vmm/base/bits.h"

int unacked_init(struct unacked *u)
{
	*u = (struct unacked){ 0 };
	u->entry = calloc(UNACKED_MAX, sizeof(*u->entry));
	return u->entry ? 0 : -ENOMEM;
}

void unacked_fini(struct unacked *u)
{
	free(u->entry);
	*u = (struct unacked){ 0 };
}

static struct unacked_entry *entry_at(const struct unacked *u, uint64_t i)
{
	return &u->entry[i % UNACKED_MAX];
}

/* Can pages of a chunk join the entry that was added last? */
static bool entry_fits(const struct unacked *u, size_t chunk, uint64_t number)
{
	const struct unacked_entry *e = entry_at(u, u->tail - 1);

	return u->tail != u->head && e->chunk == chunk && e->number == number;
}

/* Pages of one chunk. There is room for another entry */
static void entry_add(struct unacked *u, size_t chunk, size_t from, size_t to,
		      uint64_t number)
{
	struct unacked_entry *e = entry_at(u, u->tail);

	if (entry_fits(u, chunk, number)) {
		bits_fill(entry_at(u, u->tail - 1)->bits, from, to - from,
			  true);
		return;
	}
	*e = (struct unacked_entry){ .chunk = chunk, .number = number };
	bits_fill(e->bits, from, to - from, true);
	u->tail++;
}

bool unacked_full(const struct unacked *u)
{
	/* A run may lie in two chunks */
	return u->tail - u->head > UNACKED_MAX - 2;
}

bool unacked_add(struct unacked *u, size_t first, size_t n, uint64_t number)
{
	const size_t end = first + n;

	if (unacked_full(u))
		return false;
	while (first < end) {
		size_t from = first % CHUNK_PAGES, chunk = first - from;
		size_t to = end - chunk < CHUNK_PAGES ? end - chunk
							: CHUNK_PAGES;

		entry_add(u, chunk, from, to, number);
		first = chunk + to;
	}
	u->number = number;
	return true;
}

int unacked_acknowledge(struct unacked *u, uint64_t number)
{
	uint64_t head = u->head, tail = u->tail;

	if (number > u->number || number < u->acked)
		return -EBADMSG;
	u->acked = number;
	while (head != tail && entry_at(u, head)->number <= number)
		head++;
	u->head = head;
	return 0;
}

bool unacked_any(const struct unacked *u)
{
	return u->head != u->tail;
}

/* The pages of an entry that were taken from the ledger */
static size_t entry_give_back(const struct unacked_entry *e, struct ledger *l)
{
	size_t done = 0;

	for (size_t k = 0, n; k < CHUNK_PAGES; k += n) {
		const bool set = bits_test(e->bits, k);

		for (n = 1; k + n < CHUNK_PAGES &&
		     bits_test(e->bits, k + n) == set; n++)
			;
		if (set)
			done += ledger_send_again(l, e->chunk + k, n);
	}
	return done;
}

size_t unacked_give_back(struct unacked *u, struct ledger *l)
{
	size_t done = 0;

	for (uint64_t i = u->head; i != u->tail; i++)
		done += entry_give_back(entry_at(u, i), l);
	u->head = u->tail = u->number = u->acked = 0;
	return done;
}
