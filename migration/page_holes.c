// SPDX-License-Identifier: MIT
/* page_holes.c - Which pages of RAM were never written, looked up seldom */

#include <stdlib.h>
#include <string.h>

#include "migration/pages/page_show.h"
#include "page_holes.h"
#include "vmm/base/bits.h"
#include "vmm/base/clock.h"
#include "vmm/base/page.h"
#include "vmm/memory/ram_holes.h"

#define LOOK_NS		NS_PER_S	/* at least between two looks */
#define LOOK_SHARE	50		/* of the time at most a 50th */
#define PART		(256 * MIB)	/* of RAM at once */

static int set_hole(void *ctx, uint64_t offset, uint64_t len)
{
	struct page_holes *h = ctx;
	bits_fill(h->bits, offset / GUEST_PAGE_SIZE, len / GUEST_PAGE_SIZE,
		  true);
	return 0;
}

static int make_room(struct page_holes *h, size_t pages)
{
	if (h->pages == pages)
		return 0;
	page_holes_free(h);
	h->bits = calloc(pages / BITS + 1, sizeof(*h->bits));
	h->pages = h->bits ? pages : 0;
	return h->bits ? 0 : -1;
}

void page_holes_look(struct page_holes *h, const struct ram *ram)
{
	const uint64_t from = now_ns();
	int rc = 0;

	if (from < h->again || make_room(h, ram->size / GUEST_PAGE_SIZE))
		return;
	memset(h->bits, 0, (h->pages / BITS + 1) * sizeof(*h->bits));
	for (uint64_t at = 0; at < ram->size && !rc; at += PART)
		rc = ram_holes(ram, at, at + PART < ram->size ? at + PART
							      : ram->size,
			       set_hole, h);
	h->again = now_ns() + (now_ns() - from) * LOOK_SHARE;
	if (h->again < from + LOOK_NS)
		h->again = from + LOOK_NS;
}

void page_holes_show(const struct page_holes *h, size_t page, size_t n,
		     uint8_t *to)
{
	while (n && page < h->pages) {
		size_t room = BITS - page % BITS, now = n < room ? n : room;
		uint64_t word = h->bits[page / BITS] >> page % BITS;

		for (size_t k = 0; word && k < now; k++, word >>= 1)
			if (word & 1 && to[k] == SHOW_HERE)
				to[k] = SHOW_NEVER;
		page += now;
		to += now;
		n -= now;
	}
}

void page_holes_free(struct page_holes *h)
{
	free(h->bits);
	*h = (struct page_holes){ 0 };
}
