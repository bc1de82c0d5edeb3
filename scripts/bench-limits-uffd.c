// SPDX-License-Identifier: MIT
/*
 * bench-limits: userfaultfd arenas, and the four ways to fill one
 *
 * The four filling functions have one shape, so that a table can name them.
 * Each does one ioctl and returns the bytes done, as the kernel reports them:
 * less than asked for is possible and no failure.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench-limits.h"

#ifndef UFFDIO_POISON			/* Linux 6.6 */
#define _UFFDIO_POISON		0x08
#define UFFD_FEATURE_POISON	(1 << 14)
struct uffdio_poison {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};
#define UFFDIO_POISON	_IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_poison)
#endif

static int uffd_new(void)
{
	int fd, dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

	if (dev >= 0) {
#ifdef USERFAULTFD_IOC_NEW
		fd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
		close(dev);
		if (fd >= 0)
			return fd;
#else
		close(dev);
#endif
	}
	fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int arena_register(struct arena *a, uint64_t features, uint64_t mode)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register reg = {
		.range = { (uintptr_t)a->mem, a->size },
		.mode = mode,
	};

	a->uffd = uffd_new();
	if (a->uffd < 0)
		die("no userfaultfd: %s (be root, or allow the user to open "
		    "/dev/userfaultfd)", strerror(-a->uffd));
	if (ioctl(a->uffd, UFFDIO_API, &api) ||
	    ioctl(a->uffd, UFFDIO_REGISTER, &reg))
		return -errno;
	return 0;
}

/**
 * arena_open() - Map and register an empty range
 * @a:		Filled in
 * @backing:	Anonymous memory or a memfd
 * @size:	Bytes, a multiple of PAGE
 * @features:	UFFD_FEATURE_... that must be there
 * @mode:	UFFDIO_REGISTER_MODE_...
 *
 * Return: 0, or -EINVAL when the kernel lacks a feature or mode
 */
int arena_open(struct arena *a, enum backing backing, size_t size,
	       uint64_t features, uint64_t mode)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, rc;

	*a = (struct arena){ backing, NULL, size, -1, -1 };
	if (backing == BACK_MEMFD) {
		a->memfd = memfd_create("bench-limits", MFD_CLOEXEC);
		if (a->memfd < 0 || ftruncate(a->memfd, size))
			die("memfd of %zu bytes: %s", size, strerror(errno));
		flags = MAP_SHARED;
	}
	a->mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      flags | MAP_NORESERVE, a->memfd, 0);
	if (a->mem == MAP_FAILED)
		die("mmap of %zu bytes: %s", size, strerror(errno));
	madvise(a->mem, size, MADV_NOHUGEPAGE);

	rc = arena_register(a, features, mode);
	if (rc)
		arena_close(a);
	return rc;
}

/**
 * arena_empty() - Take all pages away, from the file as well
 * @a:		Arena; stays registered
 */
void arena_empty(struct arena *a)
{
	int rc;

	if (a->backing == BACK_MEMFD)
		rc = fallocate(a->memfd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       0, a->size);
	else
		rc = madvise(a->mem, a->size, MADV_DONTNEED);
	if (rc)
		die("cannot empty memory: %s", strerror(errno));
}

/**
 * arena_close() - Give everything back
 * @a:		Arena from arena_open()
 */
void arena_close(struct arena *a)
{
	munmap(a->mem, a->size);
	close(a->uffd);
	if (a->memfd >= 0)
		close(a->memfd);
}

/*
 * Do one operation, and say what the kernel says it did: @count is that field
 * of @arg where it writes the number of bytes
 */
static int64_t place(int uffd, unsigned long request, void *arg,
		     const __s64 *count)
{
	if (!ioctl(uffd, request, arg) || (errno == EAGAIN && *count > 0))
		return *count;
	return -errno;
}

/**
 * uffd_copy() - UFFDIO_COPY
 * @uffd:	userfaultfd
 * @dst:	Where, page-aligned
 * @src:	From where
 * @len:	Bytes, a multiple of PAGE
 *
 * Return: bytes placed, more than 0, or -errno: -EEXIST when the first page
 * is there already
 */
int64_t uffd_copy(int uffd, void *dst, const void *src, size_t len)
{
	struct uffdio_copy c = {
		.dst = (uintptr_t)dst, .src = (uintptr_t)src, .len = len,
	};

	return place(uffd, UFFDIO_COPY, &c, &c.copy);
}

/**
 * uffd_zeropage() - UFFDIO_ZEROPAGE
 * @uffd:	userfaultfd
 * @dst:	Where, page-aligned
 * @src:	Not used
 * @len:	Bytes, a multiple of PAGE
 *
 * Return: as uffd_copy()
 */
int64_t uffd_zeropage(int uffd, void *dst, const void *src, size_t len)
{
	struct uffdio_zeropage z = { .range = { (uintptr_t)dst, len } };

	(void)src;
	return place(uffd, UFFDIO_ZEROPAGE, &z, &z.zeropage);
}

/**
 * uffd_poison() - UFFDIO_POISON
 * @uffd:	userfaultfd
 * @dst:	Where, page-aligned
 * @src:	Not used
 * @len:	Bytes, a multiple of PAGE
 *
 * Return: as uffd_copy()
 */
int64_t uffd_poison(int uffd, void *dst, const void *src, size_t len)
{
	struct uffdio_poison p = { .range = { (uintptr_t)dst, len } };

	(void)src;
	return place(uffd, UFFDIO_POISON, &p, &p.updated);
}

/**
 * uffd_continue() - UFFDIO_CONTINUE
 * @uffd:	userfaultfd, the range registered for minor faults
 * @dst:	Where, page-aligned; the file has these pages
 * @src:	Not used
 * @len:	Bytes, a multiple of PAGE
 *
 * Return: as uffd_copy()
 */
int64_t uffd_continue(int uffd, void *dst, const void *src, size_t len)
{
	struct uffdio_continue c = { .range = { (uintptr_t)dst, len } };

	(void)src;
	return place(uffd, UFFDIO_CONTINUE, &c, &c.mapped);
}
