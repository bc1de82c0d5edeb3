// SPDX-License-Identifier: MIT
/* ram_dirty.c - Pages of RAM that this process has written */

#include <errno.h>
#include <stdlib.h>

#include "ram_dirty.h"
#include "vmm/base/bits.h"
#include "vmm/base/page.h"

static size_t dirty_words(const struct ram *ram)
{
	return (size_t)(ram->size / GUEST_PAGE_SIZE / BITS + 1);
}

int ram_dirty_begin(struct ram *ram)
{
	_Atomic uint64_t *bits = ram->written;

	if (!bits) {
		bits = calloc(dirty_words(ram), sizeof(*bits));
		ram->written = bits;
		return bits ? 0 : -ENOMEM;
	}
	for (size_t w = 0; w < dirty_words(ram); w++)
		bits[w] = 0;
	return 0;
}

void ram_dirty_end(struct ram *ram)
{
	free(ram->written);
	ram->written = NULL;
}

void ram_dirty_mark(const struct ram *ram, uint64_t offset, uint64_t len)
{
	_Atomic uint64_t *bits = ram->written;
	uint64_t page = offset / GUEST_PAGE_SIZE;
	uint64_t end = (offset + len + GUEST_PAGE_SIZE - 1) / GUEST_PAGE_SIZE;

	while (bits && page < end) {
		uint64_t from = page % BITS, n = BITS - from;

		if (n > end - page)
			n = end - page;
		atomic_fetch_or(&bits[page / BITS],
				bits_mask(from, from + n));
		page += n;
	}
}

void ram_dirty_take(const struct ram *ram, uint64_t *bits)
{
	_Atomic uint64_t *from = ram->written;

	for (size_t w = 0; from && w < dirty_words(ram); w++)
		if (from[w])
			bits[w] |= atomic_exchange(&from[w], 0);
}
