// SPDX-License-Identifier: MIT
/*
 * ram_holes.c - Find RAM that was never written
 *
 * A guest rarely fills its RAM. A page that it never wrote has no page of the
 * host: in an anonymous mapping, and in one of huge pages, the page tables say
 * so; in a memfd the file has a hole there. Both are asked for runs in use; the
 * gaps between the runs are zeroes. Poison counts as in use: its marker is a
 * swap entry.
 *
 * Page tables: ioctl PAGEMAP_SCAN (Linux 6.7), else reads of
 * /proc/self/pagemap; source: Documentation/admin-guide/mm/pagemap.rst.
 */

#include <errno.h>
#include <unistd.h>

#include "page_scan.h"
#include "ram_holes.h"

#define SCAN_RUNS		1024	/* of one call */

#define PM_IN_USE		(3ull << 62)	/* present, swapped */
#define PM_ENTRIES		4096	/* of one read */

/*
 * Holes so far apart are examined by separate calls: a call costs about as
 * much as looking at this many bytes' page-table entries.
 */
#define GROUP_GAP		(256u << 10)

/* Turns runs in use, in ascending order, into the gaps between them */
struct gap_list {
	uint64_t next;		/* all below was passed to @fn or is in use */
	ram_extent_fn *fn;
	void *ctx;
};

static int gap_list_used(struct gap_list *g, uint64_t start, uint64_t end)
{
	int rc = 0;

	if (start > g->next)
		rc = g->fn(g->ctx, g->next, start - g->next);
	if (end > g->next)
		g->next = end;
	return rc;
}

static int scan_tables(const struct ram *ram, uint64_t from, uint64_t to,
		       struct gap_list *g)
{
	const uint64_t base = (uintptr_t)ram->base;
	struct scan_region vec[SCAN_RUNS];
	struct scan_arg a = {
		.size = sizeof(a), .start = base + from, .end = base + to,
		.vec = (uintptr_t)vec, .vec_len = SCAN_RUNS,
		.category_inverted = SCAN_PFNZERO,
		.category_mask = SCAN_PFNZERO,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_PRESENT,
	};

	while (a.start < a.end) {
		int n = ioctl(ram->pagemap, SCAN_IOCTL, &a), rc = 0;

		if (n < 0)
			return -errno;
		for (int i = 0; i < n && !rc; i++)
			rc = gap_list_used(g, vec[i].start - base,
					   vec[i].end - base);
		if (rc)
			return rc;
		a.start = a.walk_end;
	}
	return 0;
}

static int read_pagemap(const struct ram *ram, uint64_t from, uint64_t to,
			struct gap_list *g)
{
	const uint64_t size = ram->page_size;
	uint64_t entry[PM_ENTRIES];

	while (from < to) {
		uint64_t want = (to - from) / size;
		off_t at = (off_t)(((uintptr_t)ram->base + from) / size *
				   sizeof(*entry));
		ssize_t got;

		if (want > PM_ENTRIES)
			want = PM_ENTRIES;
		got = pread(ram->pagemap, entry, want * sizeof(*entry), at);
		if (got <= 0)
			return got ? -errno : -EIO;
		for (size_t i = 0; i < (size_t)got / sizeof(*entry); i++) {
			int rc = entry[i] & PM_IN_USE ?
				 gap_list_used(g, from, from + size) : 0;

			if (rc)
				return rc;
			from += size;
		}
	}
	return 0;
}

static int mapped_holes(const struct ram *ram, uint64_t from, uint64_t to,
			struct gap_list *g)
{
	int rc;

	if (ram->pagemap < 0)
		return -ENOTSUP;
	rc = scan_tables(ram, from, to, g);
	/* For huge pages pagemap does not say which are lost */
	if (rc == -ENOTTY)
		rc = ram->backing == RAM_HUGETLB ? -ENOTSUP
		     : read_pagemap(ram, from, to, g);
	return rc;
}

static int memfd_holes(const struct ram *ram, uint64_t from, uint64_t to,
		       struct gap_list *g)
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
		rc = gap_list_used(g, (uint64_t)data, from);
		if (rc)
			return rc;
	}
	return 0;
}

int ram_holes(const struct ram *ram, uint64_t from, uint64_t to,
	      ram_extent_fn *fn, void *ctx)
{
	struct gap_list g = { .next = from, .fn = fn, .ctx = ctx };
	int rc;

	rc = ram->backing == RAM_MEMFD ? memfd_holes(ram, from, to, &g)
				       : mapped_holes(ram, from, to, &g);
	return rc ? rc : gap_list_used(&g, to, to);
}

/* Intersects the gaps of a group of old holes with those holes */
struct old_holes {
	const struct ram_extent *hole;
	size_t n;
	ram_extent_fn *fn;
	void *ctx;
};

static int pass_old_holes(void *ctx, uint64_t offset, uint64_t len)
{
	struct old_holes *o = ctx;
	const uint64_t end = offset + len;
	int rc = 0;

	while (o->n && !rc) {
		const struct ram_extent *h = o->hole;
		uint64_t a = h->offset > offset ? h->offset : offset;
		uint64_t b = h->offset + h->len < end ? h->offset + h->len
						      : end;

		if (a < b)
			rc = o->fn(o->ctx, a, b - a);
		if (h->offset + h->len > end)
			break;		/* the next gap may be in it, too */
		o->hole++;
		o->n--;
	}
	return rc;
}

int ram_holes_left(const struct ram *ram, const struct ram_extent *hole,
		   size_t n, ram_extent_fn *fn, void *ctx)
{
	int rc = 0;

	for (size_t from = 0, to; from < n && !rc; from = to) {
		struct old_holes o = { .hole = hole + from, .fn = fn,
				       .ctx = ctx };
		uint64_t end = hole[from].offset + hole[from].len;

		for (to = from + 1; to < n && hole[to].offset - end <=
				    GROUP_GAP; to++)
			end = hole[to].offset + hole[to].len;
		o.n = to - from;
		rc = ram_holes(ram, hole[from].offset, end, pass_old_holes,
			       &o);
	}
	return rc;
}
