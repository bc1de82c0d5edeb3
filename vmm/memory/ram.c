// SPDX-License-Identifier: MIT
/* ram.c - Guest RAM: creation and addresses */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ram.h"
#include "ram_dirty.h"
#include "ram_huge.h"
#include "vmm/base/page.h"

static const char *const backing_names[RAM_BACKINGS] = {
	[RAM_ANON]	= "anon",
	[RAM_MEMFD]	= "memfd",
	[RAM_HUGETLB]	= "hugetlb",
};

const char *ram_backing_name(enum ram_backing b)
{
	return b < RAM_BACKINGS ? backing_names[b] : NULL;
}

int ram_backing_find(const char *name, enum ram_backing *b)
{
	for (unsigned i = 0; i < RAM_BACKINGS; i++) {
		if (strcmp(name, backing_names[i]))
			continue;
		*b = (enum ram_backing)i;
		return 0;
	}
	return -ENOENT;
}

unsigned ram_layout(uint64_t size, struct ram_region *region)
{
	uint64_t low = size < RAM_LOW_MAX ? size : RAM_LOW_MAX;

	region[0] = (struct ram_region){ .gpa = 0, .size = low };
	if (size == low)
		return 1;
	region[1] = (struct ram_region){
		.gpa = RAM_HIGH_GPA, .size = size - low, .offset = low,
	};
	return 2;
}

uint64_t ram_end(uint64_t size)
{
	struct ram_region region[RAM_REGIONS];
	unsigned n = ram_layout(size, region);

	return region[n - 1].gpa + region[n - 1].size;
}

/*
 * At a multiple of a huge page's size, so that RAM can have transparent huge
 * pages. Return: NULL on failure
 */
static uint8_t *map_aligned(const struct ram *ram, int flags)
{
	uint8_t *room = mmap(NULL, ram->size + RAM_HUGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			     0), *base;
	size_t before;

	if (room == MAP_FAILED)
		return NULL;
	before = (RAM_HUGE - (uintptr_t)room % RAM_HUGE) % RAM_HUGE;
	base = room + before;
	if (mmap(base, ram->size, PROT_READ | PROT_WRITE, flags | MAP_FIXED,
		 ram->memfd, 0) == MAP_FAILED) {
		munmap(room, ram->size + RAM_HUGE);
		return NULL;
	}
	if (before)
		munmap(room, before);
	munmap(base + ram->size, RAM_HUGE - before);
	return base;
}

static int map_backing(struct ram *ram, struct error *err)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;

	if (ram->backing == RAM_MEMFD) {
		flags = MAP_SHARED;
		ram->memfd = memfd_create("ferry-ram", MFD_CLOEXEC);
		if (ram->memfd < 0 ||
		    ftruncate(ram->memfd, (off_t)ram->size))
			return error_set(err, errno,
				"cannot make a memfd of %llu MiB for RAM: %s",
				(unsigned long long)(ram->size / MIB),
				strerrordesc_np(errno));
	}

	if (ram->backing == RAM_HUGETLB)
		return ram_map_huge(ram, err);
	ram->base = map_aligned(ram, flags | MAP_NORESERVE);
	if (ram->base)
		return 0;
	return error_set(err, errno, "cannot map %llu MiB of RAM: %s",
			 (unsigned long long)(ram->size / MIB),
			 strerrordesc_np(errno));
}

int ram_create(struct ram *ram, uint64_t size, enum ram_backing backing,
	       struct error *err)
{
	int rc;

	*ram = (struct ram){
		.size = size, .backing = backing, .memfd = -1,
		.pagemap = -1, .page_size = GUEST_PAGE_SIZE,
	};
	ram->unit = backing == RAM_HUGETLB ? RAM_HUGE : ram->page_size;
	if (size < RAM_SIZE_MIN || size > RAM_SIZE_MAX || size % MIB)
		return error_set(err, EINVAL,
			"RAM of %llu bytes: it must be 16 MiB to 16 TiB, in whole MiB",
			(unsigned long long)size);
	if ((uint64_t)sysconf(_SC_PAGESIZE) != GUEST_PAGE_SIZE)
		return error_set(err, ENOTSUP,
			"this host has pages of %ld bytes: %llu are supported",
			sysconf(_SC_PAGESIZE), GUEST_PAGE_SIZE);
	ram->regions = ram_layout(size, ram->region);
	rc = map_backing(ram, err);
	if (rc)
		ram_destroy(ram);
	else
		ram->pagemap = open("/proc/self/pagemap",
				    O_RDONLY | O_CLOEXEC);
	return rc;
}

int ram_wall(struct ram *ram, uint64_t offset, size_t len)
{
	/* Set before a vCPU can touch the page and read the flag */
	ram->walled = true;
	return mprotect(ram->base + offset, len, PROT_NONE) ? -errno : 0;
}

void ram_destroy(struct ram *ram)
{
	if (ram->base)
		munmap(ram->base, ram->size);
	if (ram->size && ram->memfd >= 0)
		close(ram->memfd);
	if (ram->size && ram->pagemap >= 0)
		close(ram->pagemap);
	free(ram->small);
	ram_dirty_end(ram);
	*ram = (struct ram){ .memfd = -1, .pagemap = -1 };
}

/*
 * Drop the mapping first: it contains UFFDIO_POISON's markers and hwpoison's
 * entries. Then punch the file: a page that the kernel took out of use stays in
 * it until then, and punching alone leaves the markers.
 */
int ram_renew(struct ram *ram, struct error *err)
{
	if (ram->backing == RAM_HUGETLB) {
		int rc = ram_renew_huge(ram, err);

		ram_dirty_mark(ram, 0, ram->size);
		return rc;
	}
	if (madvise(ram->base, ram->size, MADV_DONTNEED))
		return error_set(err, errno, "cannot drop RAM: %s",
				 strerrordesc_np(errno));
	if (ram->memfd >= 0 &&
	    fallocate(ram->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      0, (off_t)ram->size))
		return error_set(err, errno, "cannot empty RAM's memfd: %s",
				 strerrordesc_np(errno));
	if (ram->walled && mprotect(ram->base, ram->size,
				    PROT_READ | PROT_WRITE))
		return error_set(err, errno, "cannot open all of RAM: %s",
				 strerrordesc_np(errno));
	ram->walled = false;
	ram_dirty_mark(ram, 0, ram->size);
	return 0;
}

/* Drop the mapping, then what a file keeps: as ram_renew() */
int ram_drop(struct ram *ram, uint64_t offset, size_t len, struct error *err)
{
	if (ram->backing == RAM_HUGETLB)
		return ram_drop_huge(ram, offset, len, err);
	if (madvise(ram->base + offset, len, MADV_DONTNEED))
		return error_set(err, errno, "cannot drop pages: %s",
				 strerrordesc_np(errno));
	if (ram->backing == RAM_MEMFD &&
	    fallocate(ram->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)offset, (off_t)len))
		return error_set(err, errno,
				 "cannot drop pages of RAM's memfd: %s",
				 strerrordesc_np(errno));
	return 0;
}

bool ram_offset(const struct ram *ram, uint64_t gpa, uint64_t len,
		uint64_t *offset)
{
	for (unsigned i = 0; i < ram->regions; i++) {
		const struct ram_region *r = &ram->region[i];

		if (gpa < r->gpa || gpa - r->gpa >= r->size ||
		    len > r->size - (gpa - r->gpa))
			continue;
		*offset = r->offset + (gpa - r->gpa);
		return true;
	}
	return false;
}

uint64_t ram_gpa(const struct ram *ram, uint64_t offset)
{
	const struct ram_region *r = &ram->region[ram->regions - 1];

	while (offset < r->offset)
		r--;
	return r->gpa + (offset - r->offset);
}

bool ram_from_hva(const struct ram *ram, uint64_t hva, uint64_t *offset)
{
	*offset = hva - (uintptr_t)ram->base;
	return ram->base && *offset < ram->size;
}
