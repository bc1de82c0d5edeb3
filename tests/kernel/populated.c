// SPDX-License-Identifier: MIT
/*
 * populated.c - Finding the pages of a guest that were never touched
 *
 * Anonymous memory: pagemap (one 64-bit word a page; a page that was never
 * touched has neither the present nor the swap bit), or PAGEMAP_SCAN (Linux
 * 6.7) with an inverted mask, in ranges. Neither touches a page. A poison
 * marker is no hole: it looks like a swapped page. For a memfd see memfd-holes.
 */
#include <fcntl.h>

#include "ktest.h"

#define PM_PRESENT	(1ULL << 63)	/* admin-guide/mm/pagemap.rst */
#define PM_SWAP		(1ULL << 62)

static int pagemap_open(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		SKIP("/proc/self/pagemap: %m");
	return fd;
}

static uint64_t entry(int fd, const void *addr)
{
	off_t at = (off_t)((uintptr_t)addr / PAGE * sizeof(uint64_t));
	uint64_t e;

	CHECK(pread(fd, &e, sizeof(e), at) == sizeof(e), "pread: %m");
	return e;
}

static void pagemap(struct mapping *m)
{
	int fd = pagemap_open();

	m->addr[2 * PAGE] = 1;
	CHECK(touch_read(m->addr + 4 * PAGE).value == 0, "not zero");
	for (size_t i = 0; i < NPAGES; i++) {
		bool here = entry(fd, m->addr + i * PAGE) &
			    (PM_PRESENT | PM_SWAP);

		CHECK(here == (i == 2 || i == 4), "page %zu: %s", i,
		      here ? "populated" : "not populated");
	}
}

static int scan(int fd, struct mapping *m, struct page_region *r, size_t n)
{
	struct pm_scan_arg a = {
		.size = sizeof(a), .start = (uintptr_t)m->addr,
		.end = (uintptr_t)m->addr + m->len, .vec = (uintptr_t)r,
		.vec_len = n,
		.category_inverted = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.category_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
	};
	int rc = ioctl(fd, PAGEMAP_SCAN, &a);

	if (rc < 0 && (errno == ENOTTY || errno == EINVAL))
		SKIP("no PAGEMAP_SCAN: needs Linux 6.7");
	CHECK(rc >= 0, "PAGEMAP_SCAN: %m");
	CHECK(a.walk_end == a.end, "it stopped early");
	return rc;
}

static void pagemap_scan(struct mapping *m)
{
	struct page_region r[4];
	int fd = pagemap_open();

	m->addr[2 * PAGE] = 1;
	m->addr[3 * PAGE] = 1;
	CHECK(scan(fd, m, r, 4) == 2, "not two ranges");
	CHECK(r[0].start == (uintptr_t)m->addr &&
	      r[0].end == (uintptr_t)m->addr + 2 * PAGE, "first range");
	CHECK(r[1].start == (uintptr_t)m->addr + 4 * PAGE &&
	      r[1].end == (uintptr_t)m->addr + m->len, "second range");
	CHECK(scan(fd, m, r, 4) == 2, "the scan itself populated pages");
}

static void poison_is_no_hole(struct mapping *m)
{
	int uffd = uffd_missing(m), fd = pagemap_open();
	struct page_region r[4];
	uint64_t e;

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	e = entry(fd, m->addr);
	CHECK((e & PM_SWAP) && !(e & PM_PRESENT), "entry 0x%llx",
	      (unsigned long long)e);
	CHECK(scan(fd, m, r, 4) == 1 &&
	      r[0].start == (uintptr_t)m->addr + PAGE, "PAGEMAP_SCAN calls "
	      "it a hole");
}

static const struct kcase cases[] = {
	{ "pagemap", "pagemap tells pages that were never touched", pagemap,
	  ON_ANON },
	{ "scan", "PAGEMAP_SCAN gives them as ranges, and populates none",
	  pagemap_scan, ON_ANON },
	{ "poison", "a poison marker shows as swapped, not as a hole",
	  poison_is_no_hole, ON_BOTH },
};

KTEST_MAIN(cases)
