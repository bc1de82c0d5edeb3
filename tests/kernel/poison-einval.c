// SPDX-License-Identifier: MIT
/*
 * poison-einval.c - EINVAL: bad range, bad mode
 *
 * Man page: "Either range.start or range.len was not a multiple of the system
 * page size; or range.len was zero; or the range specified was invalid." "An
 * invalid bit was specified in the mode field." Nothing is poisoned then, and
 * updated is not written.
 */
#include "ktest.h"

#define JUNK 0x1234567

static void refused(int uffd, uint64_t start, uint64_t len, uint64_t mode)
{
	int64_t updated = JUNK;
	int rc = uffd_poison_mode(uffd, (void *)(uintptr_t)start, len, mode,
				  &updated);

	CHECK(rc == -EINVAL, "start 0x%llx, len 0x%llx, mode 0x%llx: %s",
	      (unsigned long long)start, (unsigned long long)len,
	      (unsigned long long)mode, strerror(-rc));
	CHECK(updated == JUNK, "updated = %lld", (long long)updated);
}

/* All pages were missing. Unregistered, pages that still are read as zero */
static void none_poisoned(struct mapping *m, int uffd)
{
	EXPECT(0, uffd_unregister(uffd, m->addr, m->len));
	for (size_t i = 0; i < m->len; i += PAGE)
		CHECK(!poisoned(m->addr + i), "page %zu was poisoned",
		      i / PAGE);
}

static void start_unaligned(struct mapping *m)
{
	uint64_t a = (uintptr_t)m->addr;
	int uffd = uffd_missing(m);

	refused(uffd, a + 1, PAGE, 0);
	refused(uffd, a + PAGE / 2, PAGE, 0);
	refused(uffd, a + PAGE - 1, PAGE, 0);
	none_poisoned(m, uffd);
}

static void len_unaligned(struct mapping *m)
{
	uint64_t a = (uintptr_t)m->addr;
	int uffd = uffd_missing(m);

	refused(uffd, a, 1, 0);
	refused(uffd, a, PAGE + 1, 0);
	refused(uffd, a, 2 * PAGE - 1, 0);
	none_poisoned(m, uffd);
}

static void len_zero(struct mapping *m)
{
	int uffd = uffd_missing(m);

	refused(uffd, (uintptr_t)m->addr, 0, 0);
	none_poisoned(m, uffd);
}

static void range_invalid(struct mapping *m)
{
	uint64_t a = (uintptr_t)m->addr;
	int uffd = uffd_missing(m);

	refused(uffd, (uint64_t)1 << 63, PAGE, 0);	/* the kernel's */
	refused(uffd, -PAGE, PAGE, 0);
	refused(uffd, a, (uint64_t)1 << 63, 0);		/* past user space */
	refused(uffd, a, -PAGE, 0);			/* wraps */
	refused(uffd, a, -a, 0);			/* wraps to 0 */
	none_poisoned(m, uffd);
}

static void mode_invalid(struct mapping *m)
{
	uint64_t a = (uintptr_t)m->addr;
	int uffd = uffd_missing(m);

	for (unsigned bit = 1; bit < 64; bit++)
		refused(uffd, a, PAGE, (uint64_t)1 << bit);
	refused(uffd, a, PAGE, 3);
	none_poisoned(m, uffd);
}

static const struct kcase cases[] = {
	{ "start", "start not a multiple of the page size", start_unaligned,
	  ON_BOTH },
	{ "len", "len not a multiple of the page size", len_unaligned,
	  ON_BOTH },
	{ "zero", "len is zero", len_zero, ON_BOTH },
	{ "range", "the range is not one of user space", range_invalid,
	  ON_BOTH },
	{ "mode", "each unknown mode bit", mode_invalid, ON_BOTH },
};

KTEST_MAIN(cases)
