// SPDX-License-Identifier: MIT
/* huge_buffer.c - A buffer of 2 MiB that is one transparent huge page */

#include <errno.h>
#include <sys/mman.h>

#include "huge_buffer.h"
#include "page_scan.h"
#include "ram.h"
#include "vmm/base/clock.h"

#define PAUSE_MAX	255
#define WALL_FACTOR	20	/* of the limit: the kernel may wait for memory */

/* Debian 12's headers have it, its libc not */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

int huge_buffer_init(struct huge_buffer *b, int pagemap)
{
	void *map = mmap(NULL, 2 * RAM_HUGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*b = (struct huge_buffer){ .pagemap = -1,
				   .limit_ns = HUGE_BUFFER_LIMIT_NS };
	if (map == MAP_FAILED)
		return -errno;
	b->map = map;
	b->data = b->map + RAM_HUGE - (uintptr_t)map % RAM_HUGE;
	/* EINVAL: a kernel without transparent huge pages */
	if (!madvise(b->data, RAM_HUGE, MADV_HUGEPAGE))
		b->pagemap = pagemap;
	return 0;
}

static bool is_huge_page(int pagemap, const uint8_t *at)
{
	struct scan_region found = { 0 };
	struct scan_arg a = {
		.size = sizeof(a), .start = (uintptr_t)at,
		.end = (uintptr_t)at + RAM_HUGE,
		.vec = (uintptr_t)&found, .vec_len = 1,
		.category_mask = SCAN_HUGE, .return_mask = SCAN_HUGE,
	};

	return ioctl(pagemap, SCAN_IOCTL, &a) == 1;
}

/* Nothing of it is mapped. Return: true if one huge page is, now */
static bool populate(struct huge_buffer *b)
{
	if (!madvise(b->data, RAM_HUGE, MADV_POPULATE_WRITE) &&
	    is_huge_page(b->pagemap, b->data))
		return true;
	madvise(b->data, RAM_HUGE, MADV_DONTNEED);
	return false;
}

/* A thread that others have preempted is not slow */
static bool populate_fast(struct huge_buffer *b)
{
	const uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	const uint64_t wall = clock_ns(CLOCK_MONOTONIC);

	b->ready = populate(b);
	return b->ready &&
	       clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin <= b->limit_ns &&
	       (clock_ns(CLOCK_MONOTONIC) - wall) / WALL_FACTOR <= b->limit_ns;
}

uint8_t *huge_buffer_get(struct huge_buffer *b)
{
	if (b->ready)
		return b->data;
	if (b->pagemap < 0 || b->skip) {
		b->skip -= b->skip > 0;
		return NULL;
	}
	if (populate_fast(b))
		b->pause = 0;
	else
		b->pause = b->pause < PAUSE_MAX ? 4 * b->pause + 3 : PAUSE_MAX;
	b->skip = b->pause;
	return b->ready ? b->data : NULL;
}

void huge_buffer_moved(struct huge_buffer *b)
{
	madvise(b->data, RAM_HUGE, MADV_DONTNEED);
	b->ready = false;
}

void huge_buffer_fini(struct huge_buffer *b)
{
	if (b->map)
		munmap(b->map, 2 * RAM_HUGE);
	*b = (struct huge_buffer){ .pagemap = -1 };
}
