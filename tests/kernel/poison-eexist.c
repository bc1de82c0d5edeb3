// SPDX-License-Identifier: MIT
/*
 * poison-eexist.c - EEXIST: UFFDIO_POISON overwrites nothing
 *
 * Man page: "One or more pages were already mapped in the given range." Markers
 * count as mapped: existing poison, and that of a write-protected missing page.
 * So do the zero pages that a read maps. The error is EEXIST only if it is the
 * first page of the range that is mapped; updated is then -EEXIST (see
 * poison-eagain).
 */
#include <fcntl.h>

#include "ktest.h"

static void refused(int uffd, unsigned char *addr)
{
	int64_t updated = 0;

	EXPECT(-EEXIST, uffd_poison_mode(uffd, addr, PAGE, 0, &updated));
	CHECK(updated == -EEXIST, "updated = %lld", (long long)updated);
}

static void present_page(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_copy(uffd, m->addr, 0x42));
	refused(uffd, m->addr);
	CHECK(touch_read(m->addr).value == 0x42, "the page changed");
}

static void read_only_once(struct mapping *m)
{
	int uffd;

	CHECK(touch_read(m->addr).value == 0, "not zero");
	uffd = uffd_missing(m);
	refused(uffd, m->addr);
	CHECK(touch_read(m->addr).value == 0, "the page changed");
}

static void existing_poison(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	refused(uffd, m->addr);
	CHECK(poisoned(m->addr), "the poison is gone");
}

static void wp_marker(struct mapping *m)
{
	int uffd = uffd_open(O_NONBLOCK, UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
			     UFFD_FEATURE_WP_UNPOPULATED);
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)m->addr, PAGE },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	EXPECT(0, uffd_register(uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_WP, NULL));
	CHECK(!ioctl(uffd, UFFDIO_WRITEPROTECT, &wp), "WRITEPROTECT: %m");
	refused(uffd, m->addr);
	CHECK(touch_read(m->addr).signo == 0, "the page was poisoned");
}

/* The page cache alone is not a mapping: the page table decides */
static void cached_only(struct mapping *m)
{
	int uffd = uffd_missing(m);

	m->alias[0] = 0x42;
	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	CHECK(poisoned(m->addr), "the page can be read");
}

static const struct kcase cases[] = {
	{ "present", "a present page", present_page, ON_BOTH },
	{ "zero", "a page that was only read once", read_only_once, ON_BOTH },
	{ "poison", "existing poison", existing_poison, ON_BOTH },
	{ "wp", "a write-protect marker", wp_marker, ON_BOTH },
	{ "cached", "a memfd page in the cache, not mapped here, is no "
	  "obstacle", cached_only, ON_MEMFD },
};

KTEST_MAIN(cases)
