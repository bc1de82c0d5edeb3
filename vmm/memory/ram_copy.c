// SPDX-License-Identifier: MIT
/*
 * ram_copy.c - Copy from and to guest RAM
 *
 * Theory of operation
 *
 * process_vm_readv() on this process copies as memcpy() does, but returns
 * EFAULT where a load would raise SIGBUS. EFAULT is no proof of poison: the
 * kernel also returns it when it has no memory for a page. So ram_probe() tests
 * a page that can't be read; unless it is lost, the copy is repeated, with
 * growing pauses, for a quarter of a second. If that fails, the caller gets an
 * error that does not say "lost".
 */

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "ram.h"
#include "ram_dirty.h"
#include "ram_huge.h"
#include "sigbus.h"
#include "vmm/base/page.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22	/* Linux 5.14 */
#endif

#define TRIES_MAX	9	/* pauses of 1, 2, 4 … 128 ms between them */

static bool kernel_can_probe(const struct ram *ram)
{
	return !madvise(ram->base, 0, MADV_POPULATE_READ);
}

int ram_probe(const struct ram *ram, uint64_t offset)
{
	void *page = ram->base + page_down(offset);
	int rc;

	do {
		rc = madvise(page, GUEST_PAGE_SIZE, MADV_POPULATE_READ)
			? -errno : 0;
	} while (rc == -EINTR || rc == -EAGAIN);
	/* A mapping without access rights: ram_wall() */
	if (rc == -EINVAL && (ram->walled || !kernel_can_probe(ram)))
		return -EHWPOISON;
	return !rc || rc == -EHWPOISON || rc == -ENOMEM ? rc : -EFAULT;
}

static bool is_page_error(int code)
{
	return code == EFAULT || code == EHWPOISON || code == ENOMEM;
}

/*
 * A page could not be accessed for the @tries-th time. Return: 0 to try again,
 * else the error to return
 */
static int check_failed(const struct ram *ram, uint64_t offset, unsigned tries)
{
	struct timespec pause = { .tv_nsec = 1000000l << (tries - 1) };
	int rc = ram_probe(ram, offset);

	if (rc == -EHWPOISON)
		return rc;
	if (tries == TRIES_MAX)
		return rc ? rc : -EFAULT;
	if (rc || tries > 1)
		nanosleep(&pause, NULL);
	return 0;
}

/*
 * process_vm_readv() pins up to 16 pages at a time and may stop before the bad
 * page at a batch's border, so continue from there until nothing is copied. For
 * a lost part of a huge page the kernel unmaps the whole; ram_read_around()
 * reads the rest.
 */
static int copy_by_kernel(const struct ram *ram, uint64_t offset, void *to,
			  size_t len, size_t *done)
{
	unsigned tries = 0;

	*done = 0;
	while (*done < len) {
		struct iovec local = { (char *)to + *done, len - *done };
		struct iovec remote = { ram->base + offset + *done,
					len - *done };
		ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1,
					     0);
		int rc;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !is_page_error(errno))
			return -errno;
		if (n <= 0)
			n = ram_read_around(ram, offset + *done,
					    (char *)to + *done, len - *done);
		if (!n)
			return -EHWPOISON;
		if (n > 0) {
			*done += (size_t)n;
			tries = 0;
			continue;
		}
		rc = check_failed(ram, offset + *done, ++tries);
		if (rc)
			return rc;
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

/* By the kernel, so that a signal can end the wait for a missing page */
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
	unsigned tries = 0;
	uint64_t offset;

	if (!ram_offset(ram, gpa, len, &offset))
		return -ERANGE;

	while (len) {
		struct iovec local = { (void *)(uintptr_t)from, len };
		struct iovec remote = { ram->base + offset, len };
		ssize_t n = process_vm_writev(getpid(), &local, 1, &remote, 1,
					      0);
		int rc;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !is_page_error(errno))
			return -errno;
		if (n <= 0) {
			rc = check_failed(ram, offset, ++tries);
			if (rc)
				return rc;
			continue;
		}
		tries = 0;
		ram_dirty_mark(ram, offset, (uint64_t)n);
		from = (const char *)from + n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}
