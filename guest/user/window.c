// SPDX-License-Identifier: MIT
/*
 * window.c - The window through which ring 3 sees RAM, and fresh pages
 *
 * Theory of operation: RAM from AREA_GPA up appears at WINDOW_VA without the
 * hole below 4 GiB, in 2 MiB pages. Its page tables are written here, in ring
 * 3, where it is cheap. When a page is retired, its 2 MiB page is split into
 * 4 KiB ones and the one entry changes to a fresh page; a fresh page is filled
 * before it is mapped, so no vCPU ever sees it unfinished.
 *
 * Other vCPUs learn of it lazily: map_changes counts, and each vCPU flushes
 * when it begins a visit and the count is not the one it knows. One that is
 * within a visit of that very page with its old translation gets a machine
 * check of its own.
 *
 * Fresh pages and page tables come from the pool: [3, 4) MiB, then what RAM
 * there is beyond the data area.
 */
#include "user.h"

#define PTE_TABLE		0x67		/* P RW US A D */
#define PTE_PAGE		0x67
#define PTE_LARGE		0xe7		/* and PS */
#define PTE_IS_LARGE		0x80
#define PTE_ADDRESS		0x000ffffffffff000ULL
#define ENTRIES			512
#define POOL_PAGES		((AREA_GPA - POOL_GPA) >> PAGE_SHIFT)

static uint64_t pool_taken;
static uint64_t map_changes;

/**
 * page_gpa() - Where a page is
 * @page:	number, from AREA_GPA up
 *
 * Return: guest physical address, before any retirement
 */
uint64_t page_gpa(uint64_t page)
{
	if (page < area.low_pages)
		return AREA_GPA + (page << PAGE_SHIFT);
	return area.high + ((page - area.low_pages) << PAGE_SHIFT);
}

/**
 * gpa_page() - Which page of the data area is at an address?
 * @gpa:	guest physical address
 * @page:	its number
 *
 * Return: false when it is outside the data area
 */
bool gpa_page(uint64_t gpa, uint64_t *page)
{
	if (!area_holds(gpa))
		return false;
	if (gpa < area.high)
		*page = (gpa - AREA_GPA) >> PAGE_SHIFT;
	else
		*page = area.low_pages + ((gpa - area.high) >> PAGE_SHIFT);
	return true;
}

/**
 * page_va() - Where ring 3 sees a page
 * @page:	number
 */
uint64_t *page_va(uint64_t page)
{
	return (uint64_t *)(WINDOW_VA + (page << PAGE_SHIFT));
}

/* Page tables and fresh pages are addressed where they lie */
static uint64_t *pool_va(uint64_t gpa)
{
	uint64_t page;

	if (gpa < AREA_GPA)
		return (uint64_t *)gpa;
	if (gpa < area.high)
		page = (gpa - AREA_GPA) >> PAGE_SHIFT;
	else
		page = area.low_pages + ((gpa - area.high) >> PAGE_SHIFT);
	return page_va(page);
}

/**
 * pool_take() - Take one page
 * @p:		its addresses; contents are undefined
 *
 * Return: false when the pool is empty
 */
bool pool_take(struct fresh_page *p)
{
	uint64_t n = __atomic_fetch_add(&pool_taken, 1, __ATOMIC_RELAXED);

	if (n < POOL_PAGES)
		p->gpa = POOL_GPA + (n << PAGE_SHIFT);
	else if (area.pages && n - POOL_PAGES < area.ram_pages - area.pages)
		p->gpa = page_gpa(area.pages + n - POOL_PAGES);
	else
		return false;
	p->va = pool_va(p->gpa);
	return true;
}

static int map_gib(uint64_t gib)
{
	uint64_t large = gib * ENTRIES, count = area.ram_pages / ENTRIES, i;
	struct fresh_page pd;

	if (!pool_take(&pd))
		return -1;
	for (i = 0; i < ENTRIES; i++) {
		uint64_t at = large + i;

		pd.va[i] = at < count ?
			   page_gpa(at * ENTRIES) | PTE_LARGE : 0;
	}
	window_pdpt[gib] = pd.gpa | PTE_TABLE;
	return 0;
}

/**
 * window_init() - Map all RAM from AREA_GPA up
 *
 * Return: 0, -1 when there is more than the pool has page tables for
 */
int window_init(void)
{
	uint64_t large = area.ram_pages / ENTRIES;
	uint64_t gibs = (large + ENTRIES - 1) / ENTRIES, gib;

	if (gibs > POOL_PAGES / 2)
		return -1;
	for (gib = 0; gib < gibs; gib++)
		if (map_gib(gib) < 0)
			return -1;
	return 0;
}

/* Turn a 2 MiB page into a table of the same 4 KiB pages */
static int split(uint64_t *pde)
{
	uint64_t base = *pde & PTE_ADDRESS, i;
	struct fresh_page pt;

	if (!pool_take(&pt))
		return -1;
	for (i = 0; i < ENTRIES; i++)
		pt.va[i] = (base + (i << PAGE_SHIFT)) | PTE_PAGE;
	__atomic_store_n(pde, pt.gpa | PTE_TABLE, __ATOMIC_RELEASE);
	return 0;
}

/**
 * window_replace() - Map another page where one was
 * @page:	number
 * @gpa:	page from the pool
 *
 * The caller has the lock of retire.c.
 *
 * Return: 0, -1 when the pool is empty
 */
int window_replace(uint64_t page, uint64_t gpa)
{
	uint64_t large = page / ENTRIES, *pd, *pt;

	pd = pool_va(window_pdpt[large / ENTRIES] & PTE_ADDRESS);
	pd += large % ENTRIES;
	if ((*pd & PTE_IS_LARGE) && split(pd) < 0)
		return -1;
	pt = pool_va(*pd & PTE_ADDRESS);
	__atomic_store_n(&pt[page % ENTRIES], gpa | PTE_PAGE,
			 __ATOMIC_RELEASE);
	__atomic_add_fetch(&map_changes, 1, __ATOMIC_RELEASE);
	return 0;
}

/**
 * window_sync() - Forget translations that are no longer true
 * @c:		this vCPU
 */
void window_sync(struct cpu *c)
{
	uint64_t now = __atomic_load_n(&map_changes, __ATOMIC_ACQUIRE);

	if (c->map_seen == now)
		return;
	c->map_seen = now;
	call_ring0(CALL_FLUSH, 0, 0);
}
