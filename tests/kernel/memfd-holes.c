// SPDX-License-Identifier: MIT
/*
 * memfd-holes.c - Finding the pages of a memfd that were never touched
 *
 * SEEK_HOLE and SEEK_DATA on the file include what other mappings wrote, and
 * touch no page.
 */
#include <fcntl.h>

#include "ktest.h"

static void seek_hole(struct mapping *m)
{
	m->alias[2 * PAGE] = 1;
	CHECK(lseek(m->fd, 0, SEEK_DATA) == 2 * PAGE, "first data");
	CHECK(lseek(m->fd, 2 * PAGE, SEEK_HOLE) == 3 * PAGE, "its end");
	CHECK(lseek(m->fd, 3 * PAGE, SEEK_DATA) == -1 && errno == ENXIO,
	      "more data");
}

/* A mapped read fills a hole; preallocation and poison do not */
static void seek_hole_not(struct mapping *m)
{
	int uffd;

	CHECK(touch_read(m->alias + PAGE).value == 0, "not zero");
	CHECK(lseek(m->fd, 0, SEEK_DATA) == PAGE, "a page read is no data");
	CHECK(!fallocate(m->fd, 0, 4 * PAGE, 2 * PAGE), "fallocate: %m");
	CHECK(lseek(m->fd, 2 * PAGE, SEEK_DATA) == -1, "fallocate is data");
	uffd = uffd_missing(m);
	EXPECT(0, uffd_poison(uffd, m->addr + 3 * PAGE, PAGE));
	CHECK(lseek(m->fd, 2 * PAGE, SEEK_DATA) == -1, "poison is data");
}

static const struct kcase cases[] = {
	{ "hole", "SEEK_DATA finds the pages written, SEEK_HOLE their end",
	  seek_hole, ON_MEMFD },
	{ "fill", "a mapped read makes data; fallocate and poison do not",
	  seek_hole_not, ON_MEMFD },
};

KTEST_MAIN(cases)
