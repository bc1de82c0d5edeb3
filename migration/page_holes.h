/* SPDX-License-Identifier: MIT */
/*
 * page_holes.h - Which pages of RAM were never written, looked up seldom
 *
 * A look costs time in proportion to the populated page-table entries. So there
 * is at most one a second, and looks take at most a fiftieth of the time.
 */
#ifndef FERRY_PAGE_HOLES_H
#define FERRY_PAGE_HOLES_H

#include <stddef.h>
#include <stdint.h>

struct ram;

/**
 * struct page_holes - What was found; all zero at first
 * @bits:	one bit a page: it was never written
 * @pages:	pages that @bits has room for
 * @again:	when to look again, ns
 */
struct page_holes {
	uint64_t *bits;
	size_t pages;
	uint64_t again;
};

/**
 * page_holes_look() - Look, if it is time
 * @h:		what was found
 * @ram:	the RAM
 *
 * Without memory for it, or on a kernel that can't tell, there are no holes.
 */
void page_holes_look(struct page_holes *h, const struct ram *ram);

/**
 * page_holes_show() - Mark the holes of a part of RAM
 * @h:		what was found
 * @page:	first page
 * @n:		pages
 * @to:		those that are SHOW_HERE and holes become SHOW_NEVER
 */
void page_holes_show(const struct page_holes *h, size_t page, size_t n,
		     uint8_t *to);

/** page_holes_free() - Forget all */
void page_holes_free(struct page_holes *h);

#endif /* FERRY_PAGE_HOLES_H */
