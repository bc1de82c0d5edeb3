// SPDX-License-Identifier: MIT
/*
 * poison-vmreadv.c - process_vm_readv of a range with a poisoned page inside
 *
 * It stops at the first poisoned page, and returns the number of bytes before
 * it: the caller need not read page by page to find the bad one. The same holds
 * for a batch of several ranges; the caller continues after the page.
 */
#include <sys/uio.h>

#include "ktest.h"

#define BAD	(3 * PAGE)		/* offset of the poisoned page */

static void stage(struct mapping *m)
{
	int uffd = uffd_missing(m);

	for (size_t i = 0; i < m->len; i += PAGE)
		if (i != BAD)
			EXPECT(0, uffd_copy(uffd, m->addr + i,
					    (int)(i / PAGE) + 1));
	EXPECT(0, uffd_poison(uffd, m->addr + BAD, PAGE));
}

static void vm_readv(struct mapping *m)
{
	unsigned char got[NPAGES * PAGE] = { 0 };
	struct iovec to = { got, m->len }, from = { m->addr, m->len };
	ssize_t n;

	stage(m);
	n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
	CHECK(n == BAD, "process_vm_readv: %zd (%m), expected %lu", n, BAD);
	for (size_t i = 0; i < m->len; i++)
		CHECK(got[i] == (i < BAD ? i / PAGE + 1 : 0), "byte %zu is "
		      "0x%x", i, got[i]);
}

/* Several remote ranges: it stops at the first that it cannot read */
static void vm_readv_ranges(struct mapping *m)
{
	unsigned char got[NPAGES * PAGE] = { 0 };
	struct iovec to = { got, m->len }, from[NPAGES];

	for (size_t i = 0; i < NPAGES; i++)
		from[i] = (struct iovec){ m->addr + i * PAGE, PAGE };
	stage(m);
	CHECK(process_vm_readv(getpid(), &to, 1, from, NPAGES, 0) == BAD,
	      "process_vm_readv: %m, expected %lu bytes", BAD);
	CHECK(process_vm_readv(getpid(), &to, 1, from + 4, NPAGES - 4, 0) ==
	      (ssize_t)((NPAGES - 4) * PAGE), "process_vm_readv: %m");
	CHECK(got[0] == 5, "byte 0x%x", got[0]);
}

static const struct kcase cases[] = {
	{ "range", "exactly the good pages before the poison", vm_readv,
	  ON_BOTH },
	{ "ranges", "page by page ranges: the same, and it can go on after it",
	  vm_readv_ranges, ON_BOTH },
};

KTEST_MAIN(cases)
