// SPDX-License-Identifier: MIT
/*
 * place-twice.c - A page is placed once: EEXIST, and the first bytes stay
 *
 * This makes the race between a demand answer and the background push
 * harmless for data pages (invariant 1).
 */
#include <fcntl.h>

#include "ktest.h"

static void copy_twice(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_copy(uffd, m->addr, 0x11));
	EXPECT(-EEXIST, uffd_copy(uffd, m->addr, 0x22));
	EXPECT(-EEXIST, uffd_zeropage(uffd, m->addr));
	CHECK(m->addr[0] == 0x11, "byte 0x%x", m->addr[0]);
}

static void zero_then_copy(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_zeropage(uffd, m->addr));
	EXPECT(-EEXIST, uffd_copy(uffd, m->addr, 0x22));
	CHECK(m->addr[0] == 0, "byte 0x%x", m->addr[0]);
}

static void continue_twice(struct mapping *m)
{
	int uffd = uffd_open(O_NONBLOCK, UFFD_FEATURE_MINOR_SHMEM);

	EXPECT(0, uffd_register(uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_MINOR, NULL));
	m->alias[0] = 0x11;
	EXPECT(0, uffd_continue(uffd, m->addr));
	EXPECT(-EEXIST, uffd_continue(uffd, m->addr));
	CHECK(m->addr[0] == 0x11, "byte 0x%x", m->addr[0]);
}

static void fault_wakes(struct mapping *m)
{
	int uffd = uffd_missing(m);
	struct uffd_msg msg;
	struct toucher t;

	toucher_start(&t, m->addr + 0x123);
	uffd_wait_fault(uffd, &msg);
	CHECK((msg.arg.pagefault.address & ~(PAGE - 1)) == (uintptr_t)m->addr,
	      "address 0x%llx", (unsigned long long)msg.arg.pagefault.address);
	EXPECT(0, uffd_copy(uffd, m->addr, 0x11));
	CHECK(toucher_join(&t).value == 0x11, "the thread read something else");
}

static const struct kcase cases[] = {
	{ "copy", "UFFDIO_COPY, then COPY and ZEROPAGE: EEXIST", copy_twice,
	  ON_BOTH },
	{ "zero", "UFFDIO_ZEROPAGE, then COPY: EEXIST", zero_then_copy,
	  ON_BOTH },
	{ "continue", "UFFDIO_CONTINUE twice: EEXIST", continue_twice,
	  ON_MEMFD },
	{ "fault", "a fault on a missing page blocks until UFFDIO_COPY",
	  fault_wakes, ON_BOTH },
};

KTEST_MAIN(cases)
