// SPDX-License-Identifier: MIT
/*
 * poison-range.c - The effects of a UFFDIO_POISON that succeeds
 *
 * Man page: "Mark an address range as poisoned." "returns 0 on success. In
 * this case, the entire area was poisoned." "updated: number of bytes poisoned"
 * "The updated field is output-only; it is not read".
 */
#include "ktest.h"

static void entire_area(struct mapping *m)
{
	int uffd = uffd_missing(m);
	int64_t updated = 0;

	EXPECT(0, uffd_poison_mode(uffd, m->addr, m->len, 0, &updated));
	CHECK(updated == (int64_t)m->len, "updated = %lld",
	      (long long)updated);
	for (size_t i = 0; i < m->len; i += PAGE) {
		CHECK(poisoned(m->addr + i), "page %zu can be read", i / PAGE);
		CHECK(poisoned(m->addr + i + PAGE - 1),
		      "the last byte of page %zu can be read", i / PAGE);
	}
}

static void only_the_area(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_copy(uffd, m->addr + PAGE, 0xaa));
	EXPECT(0, uffd_copy(uffd, m->addr + 4 * PAGE, 0xbb));
	EXPECT(0, uffd_poison(uffd, m->addr + 2 * PAGE, 2 * PAGE));
	CHECK(poisoned(m->addr + 2 * PAGE), "first page can be read");
	CHECK(poisoned(m->addr + 3 * PAGE), "last page can be read");
	for (size_t i = 0; i < PAGE; i++) {
		CHECK(m->addr[PAGE + i] == 0xaa, "byte %zu before", i);
		CHECK(m->addr[4 * PAGE + i] == 0xbb, "byte %zu after", i);
	}
	/* Pages that were missing still are, and can be filled */
	EXPECT(0, uffd_copy(uffd, m->addr, 1));
	EXPECT(0, uffd_copy(uffd, m->addr + 5 * PAGE, 1));
}

static void output_only(struct mapping *m)
{
	static const int64_t junk[] = { -1, 1, INT64_MIN, INT64_MAX, PAGE };
	int uffd = uffd_missing(m);

	for (size_t i = 0; i < ARRAY_SIZE(junk); i++) {
		int64_t updated = junk[i];

		EXPECT(0, uffd_poison_mode(uffd, m->addr + i * PAGE, PAGE, 0,
					   &updated));
		CHECK(updated == PAGE, "updated = %lld", (long long)updated);
	}
}

static void structure_input(struct mapping *m)
{
	int uffd = uffd_missing(m);
	struct uffdio_poison p = {
		.range = { (uintptr_t)m->addr, 2 * PAGE }, .updated = 7,
	};

	CHECK(!ioctl(uffd, UFFDIO_POISON, &p), "UFFDIO_POISON: %m");
	CHECK(p.range.start == (uintptr_t)m->addr && p.range.len == 2 * PAGE &&
	      !p.mode, "the kernel changed an input field");
}

static const struct kcase cases[] = {
	{ "entire", "returns 0: every page is poisoned, updated = len",
	  entire_area, ON_BOTH },
	{ "exact", "only that range: neighbours keep their bytes, missing "
	  "pages stay missing", only_the_area, ON_BOTH },
	{ "output", "updated is not read", output_only, ON_BOTH },
	{ "input", "range and mode are not written", structure_input,
	  ON_BOTH },
};

KTEST_MAIN(cases)
