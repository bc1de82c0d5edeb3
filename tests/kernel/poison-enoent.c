// SPDX-License-Identifier: MIT
/*
 * poison-enoent.c - ENOENT: the range is not, or no longer, registered memory
 *
 * Man page: "The faulting process has changed its virtual memory layout
 * simultaneously with an outstanding UFFDIO_POISON operation." The kernel
 * checks the layout that it finds, whenever that was changed: ENOENT if the
 * range does not lie inside one mapping that is registered with a userfaultfd.
 * updated is -ENOENT.
 *
 * Two surprises. Any userfaultfd of the address space may poison what another
 * one registered. And a range past the end of its file gives EFAULT, which the
 * man page does not list.
 */
#include <fcntl.h>

#include "ktest.h"

static void refused(int uffd, unsigned char *addr, size_t len)
{
	int64_t updated = 0;

	EXPECT(-ENOENT, uffd_poison_mode(uffd, addr, len, 0, &updated));
	CHECK(updated == -ENOENT, "updated = %lld", (long long)updated);
}

static void never_registered(struct mapping *m)
{
	refused(uffd_open(O_NONBLOCK, 0), m->addr, PAGE);
	CHECK(!poisoned(m->addr), "the page was poisoned");
}

static void unregistered(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_unregister(uffd, m->addr, m->len));
	refused(uffd, m->addr, PAGE);
	CHECK(!poisoned(m->addr), "the page was poisoned");
}

static void unmapped(struct mapping *m)
{
	int uffd = uffd_missing(m);

	CHECK(!munmap(m->addr, m->len), "munmap: %m");
	refused(uffd, m->addr, PAGE);
}

static void beyond_the_end(struct mapping *m)
{
	int uffd = uffd_missing(m);

	CHECK(!munmap(m->addr + 4 * PAGE, 4 * PAGE), "munmap: %m");
	/* Not even the mapped part: the range is checked as a whole */
	refused(uffd, m->addr + 3 * PAGE, 2 * PAGE);
	EXPECT(0, uffd_poison(uffd, m->addr + 3 * PAGE, PAGE));
}

static void half_registered(struct mapping *m)
{
	int uffd = uffd_open(O_NONBLOCK, 0);

	EXPECT(0, uffd_register(uffd, m->addr, 4 * PAGE,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	refused(uffd, m->addr + 3 * PAGE, 2 * PAGE);
	refused(uffd, m->addr + 4 * PAGE, PAGE);
}

static void other_uffd(struct mapping *m)
{
	int uffd = uffd_missing(m), other = uffd_open(O_NONBLOCK, 0);

	EXPECT(0, uffd_poison(other, m->addr, PAGE));
	CHECK(poisoned(m->addr), "the page can be read");
	EXPECT(-EEXIST, uffd_poison(uffd, m->addr, PAGE));
}

static void past_end_of_file(struct mapping *m)
{
	int uffd = uffd_missing(m);
	int64_t updated = 0;

	CHECK(!ftruncate(m->fd, 4 * PAGE), "ftruncate: %m");
	EXPECT(-EFAULT, uffd_poison_mode(uffd, m->addr + 4 * PAGE, PAGE, 0,
					 &updated));
	NOTE("updated = %lld", (long long)updated);
	EXPECT(-EAGAIN, uffd_poison_mode(uffd, m->addr + 3 * PAGE, 2 * PAGE, 0,
					 &updated));
	CHECK(updated == PAGE, "updated = %lld", (long long)updated);
}

static const struct kcase cases[] = {
	{ "never", "memory that was never registered", never_registered,
	  ON_BOTH },
	{ "unregistered", "memory that is not registered any more",
	  unregistered, ON_BOTH },
	{ "unmapped", "memory that is not mapped any more", unmapped,
	  ON_BOTH },
	{ "beyond", "a range that goes past its mapping, all of it",
	  beyond_the_end, ON_BOTH },
	{ "half", "a range of which only the beginning is registered",
	  half_registered, ON_BOTH },
	{ "other", "not: registered with another userfaultfd (that works)",
	  other_uffd, ON_BOTH },
	{ "eof", "not: past the end of the file (EFAULT)", past_end_of_file,
	  ON_MEMFD },
};

KTEST_MAIN(cases)
