// SPDX-License-Identifier: MIT
/*
 * poison-survives.c - Operations that poison survives
 *
 * One exception: fork() copies no page tables of a shared file mapping, so the
 * child of a process with a memfd starts with none of its poison, and reads
 * what the file holds.
 */
#include <fcntl.h>

#include "ktest.h"

static void unregister(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	EXPECT(0, uffd_unregister(uffd, m->addr, m->len));
	CHECK(poisoned(m->addr), "the page can be read");
	CHECK(touch_read(m->addr + PAGE).value == 0, "its neighbour is hit");
}

static void closed(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	close(uffd);
	CHECK(poisoned(m->addr), "the page can be read");
	CHECK(touch_read(m->addr + PAGE).value == 0, "its neighbour is hit");
}

static void registered_again(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	close(uffd);
	uffd = uffd_missing(m);
	CHECK(poisoned(m->addr), "the page can be read");
	EXPECT(-EEXIST, uffd_poison(uffd, m->addr, PAGE));
}

static void forked(struct mapping *m, bool child_too)
{
	int uffd = uffd_missing(m);
	pid_t pid;

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	pid = ktest_fork();
	if (!pid) {
		CHECK(poisoned(m->addr) == child_too, "the child can%s read "
		      "the page", child_too ? "" : "not");
		_exit(KTEST_OK);
	}
	ktest_reap(pid);
	CHECK(poisoned(m->addr), "the parent can read the page");
}

static void forked_anon(struct mapping *m)
{
	forked(m, true);
}

static void forked_memfd(struct mapping *m)
{
	forked(m, false);
}

static void remapped(struct mapping *m)
{
	int uffd = uffd_missing(m);
	unsigned char *to;

	EXPECT(0, uffd_copy(uffd, m->addr, 0x42));
	EXPECT(0, uffd_poison(uffd, m->addr + PAGE, PAGE));
	to = mmap(NULL, m->len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(to != MAP_FAILED, "mmap: %m");
	to = mremap(m->addr, m->len, m->len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	CHECK(to != MAP_FAILED, "mremap: %m");
	CHECK(touch_read(to).value == 0x42, "the data did not move along");
	CHECK(poisoned(to + PAGE), "the poison did not move along");
}

static void protected(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	CHECK(!mprotect(m->addr, m->len, PROT_NONE), "mprotect: %m");
	CHECK(!mprotect(m->addr, m->len, PROT_READ | PROT_WRITE),
	      "mprotect: %m");
	CHECK(poisoned(m->addr), "the page can be read");
}

static const struct kcase cases[] = {
	{ "unregister", "poison survives UFFDIO_UNREGISTER", unregister,
	  ON_BOTH },
	{ "close", "and the close of the userfaultfd", closed, ON_BOTH },
	{ "again", "and a new registration, which respects it",
	  registered_again, ON_BOTH },
	{ "fork", "and fork, in parent and child", forked_anon, ON_ANON },
	{ "fork", "and fork, in the parent only", forked_memfd, ON_MEMFD },
	{ "mremap", "and mremap: it moves along", remapped, ON_BOTH },
	{ "mprotect", "and mprotect", protected, ON_BOTH },
};

KTEST_MAIN(cases)
