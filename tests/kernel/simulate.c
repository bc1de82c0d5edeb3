// SPDX-License-Identifier: MIT
/*
 * simulate.c - Simulated poison on a source, and the gap in it
 *
 * Register write-protect, MADV_DONTNEED, UFFDIO_POISON. It needs no
 * capability, but between the last two the page is open: a reader gets zeros
 * (anon) or the file's bytes (memfd), and the poison is then refused. The form
 * without a gap is in simulate-race.
 */
#include <fcntl.h>

#include "ktest.h"

static void simple(struct mapping *m)
{
	int uffd = uffd_open(O_NONBLOCK, UFFD_FEATURE_WP_HUGETLBFS_SHMEM);

	memset(m->addr, 0x42, m->len);
	EXPECT(0, uffd_register(uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_WP, NULL));
	CHECK(!madvise(m->addr + PAGE, PAGE, MADV_DONTNEED), "DONTNEED: %m");
	EXPECT(0, uffd_poison(uffd, m->addr + PAGE, PAGE));
	CHECK(poisoned(m->addr + PAGE), "the page can be read");
	CHECK(touch_read(m->addr + PAGE - 1).value == 0x42, "page before");
	CHECK(touch_read(m->addr + 2 * PAGE).value == 0x42, "page after");
}

static void gap(struct mapping *m)
{
	int uffd = uffd_open(O_NONBLOCK, UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
	unsigned char want = m->fd < 0 ? 0 : 0x42;
	struct touch t;

	memset(m->addr, 0x42, m->len);
	EXPECT(0, uffd_register(uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_WP, NULL));
	CHECK(!madvise(m->addr, PAGE, MADV_DONTNEED), "DONTNEED: %m");
	t = touch_read(m->addr);
	CHECK(!t.signo && t.value == want, "signal %d, byte 0x%x", t.signo,
	      t.value);
	EXPECT(-EEXIST, uffd_poison(uffd, m->addr, PAGE));
	NOTE("it reads 0x%x", t.value);
}

static const struct kcase cases[] = {
	{ "simple", "write-protect registration, DONTNEED, POISON", simple,
	  ON_BOTH },
	{ "gap", "a read in between goes through, and EEXIST follows", gap,
	  ON_BOTH },
};

KTEST_MAIN(cases)
