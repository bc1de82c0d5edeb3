// SPDX-License-Identifier: MIT
/* ram.c - Guest RAM, and the one way into it */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ram.h"
#include "ram_huge.h"
#include "sigbus.h"

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

static void lay_out(struct ram *ram)
{
	uint64_t low = ram->size < RAM_LOW_MAX ? ram->size : RAM_LOW_MAX;

	ram->region[0] = (struct ram_region){ .gpa = 0, .size = low };
	ram->regions = 1;
	if (ram->size == low)
		return;
	ram->region[1] = (struct ram_region){
		.gpa = RAM_HIGH_GPA, .size = ram->size - low, .offset = low,
	};
	ram->regions = 2;
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
	ram->base = mmap(NULL, ram->size, PROT_READ | PROT_WRITE,
			 flags | MAP_NORESERVE, ram->memfd, 0);
	if (ram->base != MAP_FAILED)
		return 0;
	ram->base = NULL;
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
		.page_size = (size_t)sysconf(_SC_PAGESIZE),
	};
	ram->unit = backing == RAM_HUGETLB ? RAM_HUGE : ram->page_size;
	if (size < RAM_SIZE_MIN || size > RAM_SIZE_MAX || size % MIB)
		return error_set(err, EINVAL,
			"RAM of %llu bytes: it must be 16 MiB to 16 TiB, in whole MiB",
			(unsigned long long)size);
	lay_out(ram);
	rc = map_backing(ram, err);
	if (rc)
		ram_destroy(ram);
	return rc;
}

int ram_wall(struct ram *ram, uint64_t offset, size_t len)
{
	/* Before a vCPU can run into it, and ask */
	ram->walled = true;
	return mprotect(ram->base + offset, len, PROT_NONE) ? -errno : 0;
}

void ram_destroy(struct ram *ram)
{
	if (ram->base)
		munmap(ram->base, ram->size);
	if (ram->size && ram->memfd >= 0)
		close(ram->memfd);
	free(ram->small);
	*ram = (struct ram){ .memfd = -1 };
}

/*
 * The mapping first: it has UFFDIO_POISON's markers and hwpoison's entries.
 * Then the file: a page that the kernel took out of use stays in it until it
 * is punched out, and punching alone leaves the markers.
 */
int ram_renew(struct ram *ram, struct error *err)
{
	if (ram->backing == RAM_HUGETLB)
		return ram_renew_huge(ram, err);
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

/*
 * A copy by the kernel that stops at the first page it can't read. It pins up
 * to 16 pages at a time and may stop short of the bad one by its batch's
 * borders, so ask again from where it stopped until nothing comes. Of a huge
 * page the kernel unmaps all for what it lost of it; ram_read_around() has the
 * rest.
 */
static int copy_by_kernel(const struct ram *ram, uint64_t offset, void *to,
			  size_t len, size_t *done)
{
	*done = 0;
	while (*done < len) {
		struct iovec local = { (char *)to + *done, len - *done };
		struct iovec remote = { ram->base + offset + *done,
					len - *done };
		ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1,
					     0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EFAULT && errno != EHWPOISON)
			return -errno;
		if (n <= 0)
			n = ram_read_around(ram, offset + *done,
					    (char *)to + *done, len - *done);
		if (n <= 0)
			return -EFAULT;
		*done += (size_t)n;
	}
	return 0;
}

int ram_copy_out(const struct ram *ram, uint64_t offset, void *to,
		 size_t len, size_t *done)
{
	if (offset > ram->size || len > ram->size - offset) {
		*done = 0;
		return -ERANGE;
	}
	if (!ram->walled && sigbus_copy(to, ram->base + offset, len)) {
		*done = len;
		return 0;
	}
	return copy_by_kernel(ram, offset, to, len, done);
}

/* By the kernel: that can be interrupted, should a page have yet to arrive */
int ram_read(const struct ram *ram, uint64_t gpa, void *to, size_t len)
{
	uint64_t offset;
	size_t done;

	if (!ram_offset(ram, gpa, len, &offset))
		return -ERANGE;
	return copy_by_kernel(ram, offset, to, len, &done);
}

int ram_write(const struct ram *ram, uint64_t gpa, const void *from,
	      size_t len)
{
	uint64_t offset;

	if (!ram_offset(ram, gpa, len, &offset))
		return -ERANGE;

	while (len) {
		struct iovec local = { (void *)(uintptr_t)from, len };
		struct iovec remote = { ram->base + offset, len };
		ssize_t n = process_vm_writev(getpid(), &local, 1, &remote, 1,
					      0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno != EHWPOISON ? -errno : -EFAULT;
		from = (const char *)from + n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}
