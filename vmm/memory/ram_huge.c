// SPDX-License-Identifier: MIT
/* ram_huge.c - Guest RAM of huge pages: hugetlbfs, 2 MiB each */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "ram_huge.h"
#include "uffd.h"

#define POOL	"/sys/kernel/mm/hugepages/hugepages-2048kB/"

/* memfd_create(2): the logarithm of the size */
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB	(21u << 26)
#endif

static unsigned long long read_pool(const char *name)
{
	char path[sizeof(POOL) + 32];
	unsigned long long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), POOL "%s", name);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%llu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

static int set_pool_error(const struct ram *ram, struct error *err)
{
	unsigned long long need = ram->size / RAM_HUGE;
	unsigned long long all = read_pool("nr_hugepages");
	unsigned long long spare = read_pool("free_hugepages");
	unsigned long long taken = read_pool("resv_hugepages");

	spare = spare > taken ? spare - taken : 0;
	return error_set(err, ENOMEM,
		"RAM of huge pages: %llu of 2 MiB are needed, %llu are free: raise the pool (sysctl vm.nr_hugepages=%llu), or take another --ram",
		need, spare, need > spare ? all + need - spare : all);
}

int ram_map_huge(struct ram *ram, struct error *err)
{
	if (ram->size % RAM_HUGE)
		return error_set(err, EINVAL,
			"RAM of huge pages: %llu MiB is no whole number of them (2 MiB each)",
			(unsigned long long)(ram->size / MIB));
	ram->small = calloc(ram->size / RAM_HUGE, 1);
	if (!ram->small)
		return error_set(err, ENOMEM, "out of memory");
	ram->memfd = memfd_create("ferry-ram", MFD_CLOEXEC | MFD_HUGETLB |
				  MFD_HUGE_2MB);
	if (ram->memfd < 0 || ftruncate(ram->memfd, (off_t)ram->size))
		return error_set(err, errno,
			"this kernel has no huge pages of 2 MiB (%s): take another --ram",
			strerrordesc_np(errno));
	/* Not MAP_NORESERVE: a missing page would raise SIGBUS later */
	ram->base = mmap(NULL, ram->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 ram->memfd, 0);
	if (ram->base != MAP_FAILED)
		return 0;
	ram->base = NULL;
	return errno == ENOMEM ? set_pool_error(ram, err)
		: error_set(err, errno, "cannot map %llu MiB of huge pages: %s",
			    (unsigned long long)(ram->size / MIB),
			    strerrordesc_np(errno));
}

/*
 * Punching the file frees its pages and their reservation. Mapping it again
 * reserves pages and replaces the small pages and the kernel's entries for lost
 * ones.
 */
int ram_renew_huge(struct ram *ram, struct error *err)
{
	if (fallocate(ram->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      0, (off_t)ram->size))
		return error_set(err, errno, "cannot empty RAM's memfd: %s",
				 strerrordesc_np(errno));
	if (mmap(ram->base, ram->size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, ram->memfd, 0) == MAP_FAILED)
		return errno == ENOMEM ? set_pool_error(ram, err)
			: error_set(err, errno, "cannot map RAM: %s",
				    strerrordesc_np(errno));
	for (uint64_t i = 0; i < ram->size / RAM_HUGE; i++)
		ram->small[i] = 0;
	ram->walled = false;
	return 0;
}

/* As ram_renew_huge(), for a part */
int ram_drop_huge(struct ram *ram, uint64_t offset, size_t len,
		  struct error *err)
{
	if (fallocate(ram->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)offset, (off_t)len))
		return error_set(err, errno, "cannot drop huge pages: %s",
				 strerrordesc_np(errno));
	if (mmap(ram->base + offset, len, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, ram->memfd,
		 (off_t)offset) != MAP_FAILED)
		return 0;
	return errno == ENOMEM ? set_pool_error(ram, err)
		: error_set(err, errno, "cannot map huge pages: %s",
			    strerrordesc_np(errno));
}

bool ram_is_huge(const struct ram *ram, uint64_t offset)
{
	return ram->small && !ram->small[offset / RAM_HUGE];
}

/*
 * Linux 6.6, "hugetlbfs: improve read HWPOISON hugepage". Before 6.1 a lost huge
 * page was removed from the file, which then read as zeroes there.
 */
static bool file_knows_lost_pages(void)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	return !uname(&u) && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 6));
}

ssize_t ram_read_around(const struct ram *ram, uint64_t offset, void *to,
			size_t len)
{
	uint64_t left = RAM_HUGE - offset % RAM_HUGE;
	ssize_t n;

	/* The file can still read what ram_wall() protects */
	if (!ram_is_huge(ram, offset) || ram->walled ||
	    !file_knows_lost_pages())
		return -1;
	n = pread(ram->memfd, to, len < left ? len : left, (off_t)offset);
	if (n < 0 && errno == EIO)
		n = 0;
	/* If small pages replaced it meanwhile, the file is out of date */
	return ram_is_huge(ram, offset) ? n : -1;
}

static int poison_small(uint8_t *at, const bool *lost, int uffd,
			struct error *err)
{
	int rc = uffd_register(uffd, at, RAM_HUGE, UFFD_MISSING, err);

	for (size_t i = 0; i < HUGE_PAGES && !rc; i++) {
		size_t done;

		if (!lost[i])
			continue;
		rc = uffd_poison(uffd, at + i * GUEST_PAGE_SIZE,
				 GUEST_PAGE_SIZE, &done);
		if (rc)
			error_set(err, -rc, "UFFDIO_POISON: %s",
				  uffd_cause(rc));
	}
	/* The whole: registering parts would divide the mapping */
	if (!rc)
		rc = uffd_unregister(uffd, at, RAM_HUGE);
	return rc;
}

static int fill_small(uint8_t *at, const uint8_t *data, const bool *lost,
		      int uffd, struct error *err)
{
	static const uint8_t zeroes[GUEST_PAGE_SIZE];

	if (madvise(at, RAM_HUGE, MADV_NOHUGEPAGE) && errno != EINVAL)
		return error_set(err, errno, "MADV_NOHUGEPAGE: %s",
				 strerrordesc_np(errno));
	for (uint64_t o = 0; o < RAM_HUGE; o += GUEST_PAGE_SIZE)
		if (!lost[o / GUEST_PAGE_SIZE] &&
		    memcmp(data + o, zeroes, GUEST_PAGE_SIZE))
			memcpy(at + o, data + o, GUEST_PAGE_SIZE);
	return poison_small(at, lost, uffd, err);
}

int ram_split(struct ram *ram, uint64_t offset, const uint8_t *data,
	      const bool *lost, int uffd, struct error *err)
{
	uint8_t *at = mmap(NULL, RAM_HUGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (at == MAP_FAILED)
		return error_set(err, errno, "cannot map small pages: %s",
				 strerrordesc_np(errno));
	rc = fill_small(at, data, lost, uffd, err);
	if (rc) {
		munmap(at, RAM_HUGE);
		return error_set(err, -rc, "cannot split a huge page: %s",
				 strerrordesc_np(-rc));
	}
	/* Before mremap(), so that no thread reads the file instead of them */
	ram->small[offset / RAM_HUGE] = 1;
	if (mremap(at, RAM_HUGE, RAM_HUGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   ram->base + offset) == MAP_FAILED) {
		rc = error_set(err, errno,
			"cannot put small pages in the place of a huge one: %s",
			strerrordesc_np(errno));
		ram->small[offset / RAM_HUGE] = 0;
		munmap(at, RAM_HUGE);
	}
	return rc;
}
