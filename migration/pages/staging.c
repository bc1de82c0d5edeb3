// SPDX-License-Identifier: MIT
/* staging.c - Huge pages that are partially received, and their buffers */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "migration/wire/wire.h"
#include "staging.h"

struct staging *staging_new(size_t n)
{
	struct staging *st = calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	st->n = n;
	st->page = calloc(n, sizeof(*st->page));
	if (st->page)
		return st;
	free(st);
	return NULL;
}

void staging_free(struct staging *st)
{
	if (!st)
		return;
	for (size_t i = 0; i < st->n; i++)
		if (st->page[i].data)
			munmap(st->page[i].data, RAM_HUGE);
	for (unsigned i = 0; i < STAGING_SPARES; i++)
		if (st->spare[i])
			munmap(st->spare[i], RAM_HUGE);
	free(st->page);
	free(st);
}

uint8_t *staging_get_buffer(struct staging *st)
{
	uint8_t *p = NULL;

	for (unsigned i = 0; i < STAGING_SPARES && !p; i++)
		if (st->spare[i])
			p = atomic_exchange(&st->spare[i], NULL);
	if (p)
		return p;
	p = mmap(NULL, RAM_HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void staging_put_buffer(struct staging *st, uint8_t *p)
{
	for (unsigned i = 0; i < STAGING_SPARES; i++) {
		uint8_t *none = NULL;

		if (atomic_compare_exchange_strong(&st->spare[i], &none, p))
			return;
	}
	munmap(p, RAM_HUGE);
}

struct huge_page *staging_enter(struct staging *st, size_t page)
{
	struct huge_page *h = &st->page[page / HUGE_PAGES];

	h->users++;
	return h;
}

void staging_leave(struct staging *st, struct huge_page *h)
{
	uint8_t *data;

	if (atomic_fetch_sub(&h->users, 1) != 1 || !h->placed)
		return;
	data = atomic_exchange(&h->data, NULL);
	if (data)
		staging_put_buffer(st, data);
}

uint8_t *staging_buffer(struct staging *st, struct huge_page *h)
{
	uint8_t *is = h->data, *mine;

	if (is)
		return is;
	mine = staging_get_buffer(st);
	if (!mine || atomic_compare_exchange_strong(&h->data, &is, mine))
		return mine;
	staging_put_buffer(st, mine);	/* another thread was faster */
	return is;
}

void staging_store(uint8_t *data, size_t k, const uint8_t *from)
{
	uint64_t *to = (uint64_t *)(void *)(data + k * WIRE_PAGE);

	for (size_t i = 0; i < WIRE_PAGE / sizeof(*to); i++) {
		uint64_t v;

		memcpy(&v, from + i * sizeof(v), sizeof(v));
		__atomic_store_n(&to[i], v, __ATOMIC_RELAXED);
	}
}
