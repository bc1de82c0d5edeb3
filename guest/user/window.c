// SPDX-License-Identifier: MIT
/*
 * window.c - Ring 3's mapping of RAM, and fresh pages
 *
 * Theory of operation: RAM from AREA_GPA up is mapped at WINDOW_VA without the
 * hole below 4 GiB, in 2 MiB pages. Ring 3 writes these page tables, because
 * ring 0 may be emulated slowly. To retire a page, window_replace() splits its
 * 2 MiB page into 4 KiB pages and changes the one entry to a fresh page, which
 * the caller has filled before, so no vCPU sees it incomplete.
 *
 * Other vCPUs learn of the change lazily: map_changes counts, and each vCPU
 * flushes its TLB at the start of a visit if the count has changed. A vCPU that
 * visits that very page with its old translation gets a machine check itself.
 *
 * Fresh pages and page tables come from the pool: [3, 4) MiB, then the RAM
 * after the data area.
 */
#include "../area.h"
#include "../boot.h"
#include "../call.h"
#include "window.h"

#define PTE_TABLE		0x67		/* P RW US A D */
#define PTE_PAGE		0x67
#define PTE_LARGE		0xe7		/* and PS */
#define PTE_IS_LARGE		0x80
#define PTE_ADDRESS		0x000ffffffffff000ULL
#define ENTRIES			512
#define POOL_PAGES		((AREA_GPA - POOL_GPA) >> PAGE_SHIFT)

static uint64_t pool_taken;
static uint64_t map_changes;

uint64_t *window_va(uint64_t page)
{
	return (uint64_t *)(WINDOW_VA + (page << PAGE_SHIFT));
}

/* Where ring 3 accesses a page table or a fresh page */
static uint64_t *pool_va(uint64_t gpa)
{
	return gpa < AREA_GPA ? (uint64_t *)gpa : window_va(area_index(gpa));
}

bool pool_take(struct fresh_page *p)
{
	uint64_t n = __atomic_fetch_add(&pool_taken, 1, __ATOMIC_RELAXED);

	if (n < POOL_PAGES)
		p->gpa = POOL_GPA + (n << PAGE_SHIFT);
	else if (area.pages && n - POOL_PAGES < area.ram_pages - area.pages)
		p->gpa = area_gpa(area.pages + n - POOL_PAGES);
	else
		return false;
	p->va = pool_va(p->gpa);
	return true;
}

static int window_map_gib(uint64_t gib)
{
	uint64_t large = gib * ENTRIES, count = area.ram_pages / ENTRIES, i;
	struct fresh_page pd;

	if (!pool_take(&pd))
		return -1;
	for (i = 0; i < ENTRIES; i++) {
		uint64_t at = large + i;

		pd.va[i] = at < count ?
			   area_gpa(at * ENTRIES) | PTE_LARGE : 0;
	}
	window_pdpt[gib] = pd.gpa | PTE_TABLE;
	return 0;
}

int window_init(void)
{
	uint64_t large = area.ram_pages / ENTRIES;
	uint64_t gibs = (large + ENTRIES - 1) / ENTRIES, gib;

	if (gibs > POOL_PAGES / 2)
		return -1;
	for (gib = 0; gib < gibs; gib++)
		if (window_map_gib(gib) < 0)
			return -1;
	return 0;
}

/* Turn a 2 MiB page into a table of the same 4 KiB pages */
static int window_split(uint64_t *pde)
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

int window_replace(uint64_t page, uint64_t gpa)
{
	uint64_t large = page / ENTRIES, *pd, *pt;

	pd = pool_va(window_pdpt[large / ENTRIES] & PTE_ADDRESS);
	pd += large % ENTRIES;
	if ((*pd & PTE_IS_LARGE) && window_split(pd) < 0)
		return -1;
	pt = pool_va(*pd & PTE_ADDRESS);
	__atomic_store_n(&pt[page % ENTRIES], gpa | PTE_PAGE,
			 __ATOMIC_RELEASE);
	__atomic_add_fetch(&map_changes, 1, __ATOMIC_RELEASE);
	return 0;
}

void window_sync(struct cpu *c)
{
	uint64_t now = __atomic_load_n(&map_changes, __ATOMIC_ACQUIRE);

	if (c->map_seen == now)
		return;
	c->map_seen = now;
	call_ring0(CALL_FLUSH, 0, 0);
}
