// SPDX-License-Identifier: MIT
/*
 * poison-overwrite.c - Operations that silently erase poison
 *
 * UFFDIO_POISON overwrites nothing, but other operations overwrite poison: a
 * page that is placed after the poison succeeds, without EEXIST, and the guest
 * reads data. Therefore poison is a final state in Ferry's own page table
 * (invariant 2). The kernel allows it so that a destination can repair a page;
 * Ferry never does.
 *
 * UFFDIO_ZEROPAGE differs by kind: on anonymous memory it gives EEXIST.
 */
#include <fcntl.h>

#include "ktest.h"

static void erased(struct mapping *m, unsigned char value)
{
	struct touch t = touch_read(m->addr);

	CHECK(!t.signo, "the poison is still there: this kernel is safer than "
	      "the one Ferry was made for");
	CHECK(t.value == value, "byte 0x%x, expected 0x%x", t.value, value);
}

static void copy(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	CHECK(poisoned(m->addr), "not poisoned");
	EXPECT(0, uffd_copy(uffd, m->addr, 0x42));
	erased(m, 0x42);
}

static void zeropage_memfd(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	EXPECT(0, uffd_zeropage(uffd, m->addr));
	erased(m, 0);
}

static void zeropage_anon(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	EXPECT(-EEXIST, uffd_zeropage(uffd, m->addr));
	CHECK(poisoned(m->addr), "the poison is gone");
}

static void do_continue(struct mapping *m)
{
	int uffd = uffd_open(O_NONBLOCK, UFFD_FEATURE_MINOR_SHMEM);

	m->alias[0] = 0x42;
	EXPECT(0, uffd_register(uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_MISSING |
				UFFDIO_REGISTER_MODE_MINOR, NULL));
	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	EXPECT(0, uffd_continue(uffd, m->addr));
	erased(m, 0x42);
}

static void dontneed(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	CHECK(!madvise(m->addr, PAGE, MADV_DONTNEED), "MADV_DONTNEED: %m");
	EXPECT(0, uffd_unregister(uffd, m->addr, m->len));
	erased(m, 0);
}

static void move(struct mapping *m)
{
	int uffd = uffd_open(O_NONBLOCK, UFFD_FEATURE_MOVE);
	unsigned char *src = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(src != MAP_FAILED, "mmap: %m");
	src[0] = 0x42;
	EXPECT(0, uffd_register(uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	EXPECT(-EEXIST, uffd_move(uffd, m->addr, src, PAGE));
	CHECK(poisoned(m->addr), "the poison is gone");
	EXPECT(0, uffd_move(uffd, m->addr + PAGE, src, PAGE));
	CHECK(m->addr[PAGE] == 0x42, "the page beside it did not move");
}

static const struct kcase cases[] = {
	{ "copy", "UFFDIO_COPY erases poison", copy, ON_BOTH },
	{ "continue", "UFFDIO_CONTINUE erases poison", do_continue, ON_MEMFD },
	{ "zeropage", "UFFDIO_ZEROPAGE erases poison", zeropage_memfd,
	  ON_MEMFD },
	{ "zeropage", "UFFDIO_ZEROPAGE does not: EEXIST", zeropage_anon,
	  ON_ANON },
	{ "dontneed", "MADV_DONTNEED erases poison", dontneed, ON_BOTH },
	{ "move", "UFFDIO_MOVE does not: EEXIST", move, ON_ANON },
};

KTEST_MAIN(cases)
