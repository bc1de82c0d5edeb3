// SPDX-License-Identifier: MIT
/*
 * poison-space.c - Poison belongs to one mapping of one address space
 *
 * Man page: "works by installing page table entries, rather than really
 * poisoning the underlying physical pages. This means it only affects this
 * particular address space." Narrower still: another mapping of the same memfd
 * in the same address space is not poisoned either. And an ioctl acts on the
 * address space that opened the userfaultfd, whichever process issues it.
 */
#include "ktest.h"

static void second_mapping(struct mapping *m)
{
	int uffd = uffd_missing(m);
	unsigned char c;

	m->alias[0] = 0x77;
	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	CHECK(poisoned(m->addr), "the page can be read");
	CHECK(touch_read(m->alias).value == 0x77, "the alias lost its byte");
	CHECK(!touch_write(m->alias, 0x78).signo, "the alias is not writable");
	CHECK(pread(m->fd, &c, 1, 0) == 1 && c == 0x78, "pread: %m");
	CHECK(poisoned(m->addr), "writing the alias cured the page");
}

static void other_process(struct mapping *m)
{
	int uffd = uffd_missing(m);
	pid_t pid;

	m->alias[0] = 0x77;
	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	pid = ktest_fork();
	if (!pid) {
		unsigned char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED,
					m->fd, 0);

		CHECK(p != MAP_FAILED, "mmap: %m");
		CHECK(touch_read(p).value == 0x77, "another process's mapping "
		      "of the memfd is poisoned");
		_exit(KTEST_OK);
	}
	ktest_reap(pid);
}

static void owner(struct mapping *m)
{
	int uffd = uffd_missing(m);
	pid_t pid = ktest_fork();

	if (!pid) {
		EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
		CHECK(!poisoned(m->addr), "the child that issued it is hit");
		_exit(KTEST_OK);
	}
	ktest_reap(pid);
	CHECK(poisoned(m->addr), "the opener's page can be read");
}

static const struct kcase cases[] = {
	{ "alias", "a second mapping of the memfd is not poisoned",
	  second_mapping, ON_MEMFD },
	{ "process", "nor is another process's mapping", other_process,
	  ON_MEMFD },
	{ "owner", "an inherited userfaultfd acts on its opener's memory",
	  owner, ON_BOTH },
};

KTEST_MAIN(cases)
