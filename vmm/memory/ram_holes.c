// SPDX-License-Identifier: MIT
/*
 * ram_holes.c - Which RAM was never written
 *
 * A guest rarely fills its RAM. What it never wrote has no page behind it:
 * in an anonymous mapping, and in one of huge pages, the page tables say so; in
 * a memfd the file has a hole there. Both are asked for stretches that are in use; what lies between
 * them is zeroes. Poison counts as in use: its marker is a swap entry.
 *
 * Page tables: ioctl PAGEMAP_SCAN (Linux 6.7), else /proc/self/pagemap, see
 * the kernel's Documentation/admin-guide/mm/pagemap.rst.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ram.h"

/* Debian 12's headers lack these */
struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};

#define SCAN_IOCTL		_IOWR('f', 16, struct scan_arg)
#define SCAN_PRESENT		(1u << 3)
#define SCAN_SWAPPED		(1u << 4)
#define SCAN_PFNZERO		(1u << 5)

#define PM_IN_USE		(3ull << 62)	/* present, swapped */

/* Turns stretches in use, in ascending order, into the holes between them */
struct gaps {
	uint64_t next;		/* all below this was told */
	ram_extent_fn *fn;
	void *ctx;
};

static int gaps_used(struct gaps *g, uint64_t start, uint64_t end)
{
	int rc = 0;

	if (start > g->next)
		rc = g->fn(g->ctx, g->next, start - g->next);
	if (end > g->next)
		g->next = end;
	return rc;
}

static int scan_tables(int fd, const struct ram *ram, uint64_t from,
		       uint64_t to, struct gaps *g)
{
	const uint64_t base = (uintptr_t)ram->base;
	struct scan_region vec[256];
	struct scan_arg a = {
		.size = sizeof(a), .start = base + from, .end = base + to,
		.vec = (uintptr_t)vec, .vec_len = 256,
		.category_inverted = SCAN_PFNZERO,
		.category_mask = SCAN_PFNZERO,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_PRESENT,
	};

	while (a.start < a.end) {
		int n = ioctl(fd, SCAN_IOCTL, &a), rc = 0;

		if (n < 0)
			return -errno;
		for (int i = 0; i < n && !rc; i++)
			rc = gaps_used(g, vec[i].start - base,
				       vec[i].end - base);
		if (rc)
			return rc;
		a.start = a.walk_end;
	}
	return 0;
}

static int read_pagemap(int fd, const struct ram *ram, uint64_t from,
			uint64_t to, struct gaps *g)
{
	const uint64_t size = ram->page_size;
	uint64_t entry[512];

	while (from < to) {
		uint64_t want = (to - from) / size;
		off_t at = (off_t)(((uintptr_t)ram->base + from) / size * 8);
		ssize_t got;

		if (want > 512)
			want = 512;
		got = pread(fd, entry, want * 8, at);
		if (got <= 0)
			return got ? -errno : -EIO;
		for (int i = 0; i < got / 8; i++, from += size) {
			int rc = entry[i] & PM_IN_USE ?
				 gaps_used(g, from, from + size) : 0;

			if (rc)
				return rc;
		}
	}
	return 0;
}

static int mapped_holes(const struct ram *ram, uint64_t from, uint64_t to,
			struct gaps *g)
{
	int fd, rc;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ENOTSUP;
	rc = scan_tables(fd, ram, from, to, g);
	/* Of huge pages the latter does not say which are lost */
	if (rc == -ENOTTY)
		rc = ram->backing == RAM_HUGETLB ? -ENOTSUP
		     : read_pagemap(fd, ram, from, to, g);
	close(fd);
	return rc;
}

static int memfd_holes(const struct ram *ram, uint64_t from, uint64_t to,
		       struct gaps *g)
{
	while (from < to) {
		off_t data = lseek(ram->memfd, (off_t)from, SEEK_DATA), hole;
		int rc;

		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		if ((uint64_t)data >= to)
			return 0;
		hole = lseek(ram->memfd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		from = (uint64_t)hole < to ? (uint64_t)hole : to;
		rc = gaps_used(g, (uint64_t)data, from);
		if (rc)
			return rc;
	}
	return 0;
}

int ram_holes(const struct ram *ram, uint64_t from, uint64_t to,
	      ram_extent_fn *fn, void *ctx)
{
	struct gaps g = { .next = from, .fn = fn, .ctx = ctx };
	int rc;

	rc = ram->backing == RAM_MEMFD ? memfd_holes(ram, from, to, &g)
				       : mapped_holes(ram, from, to, &g);
	return rc ? rc : gaps_used(&g, to, to);
}
