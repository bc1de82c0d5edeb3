/* SPDX-License-Identifier: MIT */
/*
 * page.h - The size of a guest page
 *
 * The unit of everything that names guest memory: the poison list, a machine
 * check's address, dumps, and the migration protocol. RAM of huge pages uses
 * it too (ram_huge.h).
 */
#ifndef FERRY_PAGE_H
#define FERRY_PAGE_H

#include <stdint.h>

#define GUEST_PAGE_SHIFT	12
#define GUEST_PAGE_SIZE		(1ull << GUEST_PAGE_SHIFT)	/* bytes */
#define GUEST_PAGE_MASK		(GUEST_PAGE_SIZE - 1)	/* offset in a page */

/** page_down() - The start of the page that contains address @a */
static inline uint64_t page_down(uint64_t a)
{
	return a & ~GUEST_PAGE_MASK;
}

/** page_up() - @a, or the start of the next page if @a is inside a page */
static inline uint64_t page_up(uint64_t a)
{
	return page_down(a + GUEST_PAGE_MASK);
}

#endif /* FERRY_PAGE_H */
