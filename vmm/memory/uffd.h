/* SPDX-License-Identifier: MIT */
/*
 * uffd.h - userfaultfd, typed
 *
 * The only file that includes <linux/userfaultfd.h>. Sources: the kernel's
 * Documentation/admin-guide/mm/userfaultfd.rst, ioctl_userfaultfd(2), and for
 * UFFDIO_POISON the text that its author sent for that page. tests/kernel/
 * proves what the code relies on beyond them.
 */
#ifndef FERRY_UFFD_H
#define FERRY_UFFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/base/error.h"

/* Faults that a registered range reports; combined with | */
enum uffd_mode {
	UFFD_MISSING	= 1,	/* a touch of a page that is missing */
	UFFD_MINOR	= 4,	/* memfd: only the file has the page */
};

/**
 * struct uffd_fault - A thread waits for a page
 * @addr:	host virtual address, rounded down to the host's page
 * @tid:	thread that touched it; 0 if the kernel does not tell
 */
struct uffd_fault {
	uint64_t addr;
	pid_t tid;
};

/**
 * uffd_open() - Open a userfaultfd that handles KVM's faults too
 * @need_poison: fail if the kernel has no UFFDIO_POISON
 * @err:	the reason on failure, with the remedy
 *
 * Tries /dev/userfaultfd first (file permissions decide), then the system
 * call (vm.unprivileged_userfaultfd or CAP_SYS_PTRACE decides). The
 * descriptor is non-blocking and close-on-exec.
 *
 * Return: file descriptor, or -errno
 */
int uffd_open(bool need_poison, struct error *err);

/**
 * uffd_has_poison() - Does this kernel have UFFDIO_POISON?
 *
 * Return: 1, 0, or -errno if no userfaultfd can be opened
 */
int uffd_has_poison(void);

/**
 * uffd_check_ioctls() - Does a registered range offer what Ferry does with it?
 * @ioctls:	bits 1 << _UFFDIO_..., as UFFDIO_REGISTER returned them
 * @mode:	enum uffd_mode values that the range is registered with
 * @poison:	the kernel has UFFDIO_POISON, so the range must offer it
 * @err:	names the operation that is missing, and the remedy
 *
 * UFFDIO_WAKE is needed in every mode, UFFDIO_COPY for missing pages and
 * UFFDIO_CONTINUE for minor faults. UFFDIO_ZEROPAGE is not checked: huge pages
 * do not offer it, and Ferry does not use it on them.
 *
 * Return: 0, -ENOTSUP
 */
int uffd_check_ioctls(uint64_t ioctls, int mode, bool poison,
		      struct error *err);

/**
 * uffd_register() - Report the faults of a range
 * @fd:		userfaultfd
 * @addr:	start, multiple of the page size
 * @len:	bytes, multiple of the page size
 * @mode:	enum uffd_mode values
 * @err:	the reason on failure
 *
 * A kernel that has UFFDIO_POISON must offer it for the range: otherwise the
 * first lost page would be found out in the middle of a migration. On a kernel
 * without it the range is registered; uffd_open() has decided about that.
 *
 * Return: 0, -ENOTSUP (an operation is not offered for this memory, and the
 *	   range is not registered), -errno
 */
int uffd_register(int fd, void *addr, size_t len, int mode,
		  struct error *err);

/**
 * uffd_unregister() - Have the kernel handle the faults of a range again
 * @fd:		userfaultfd
 * @addr:	start
 * @len:	bytes
 *
 * Missing pages become zero pages on touch, poison stays, and waiting threads
 * continue.
 *
 * Return: 0, -errno
 */
int uffd_unregister(int fd, void *addr, size_t len);

/**
 * uffd_copy() - Place pages and wake the threads that wait for them
 * @fd:		userfaultfd
 * @dst:	where to, multiple of the page size
 * @src:	contents; must not be in a registered range
 * @len:	bytes, multiple of the page size
 * @done:	bytes placed, also on failure
 *
 * Return: 0, -EEXIST (@dst + @done has a page already), -ENOENT
 *	   (range not registered), -ESRCH (process gone), -ENOMEM, -EINVAL,
 *	   -EFAULT
 */
int uffd_copy(int fd, void *dst, const void *src, size_t len, size_t *done);

/**
 * uffd_zero() - Place zero pages
 * @fd:		userfaultfd
 * @dst:	where to
 * @len:	bytes
 * @done:	bytes placed, also on failure
 *
 * Return: as uffd_copy()
 */
int uffd_zero(int fd, void *dst, size_t len, size_t *done);

/**
 * uffd_poison() - Make pages raise SIGBUS on touch (UFFDIO_POISON)
 * @fd:		userfaultfd
 * @dst:	where to
 * @len:	bytes
 * @done:	bytes poisoned, also on failure
 *
 * Continues where the kernel stops with EAGAIN part of the way.
 *
 * Return: as uffd_copy(); -EEXIST: @dst + @done has a page or poison already;
 *	   nothing is overwritten
 */
int uffd_poison(int fd, void *dst, size_t len, size_t *done);

/**
 * uffd_move() - Move pages into place (UFFDIO_MOVE, Linux 6.8)
 * @fd:		userfaultfd
 * @dst:	where to, multiple of the page size
 * @src:	private anonymous memory that only this process maps; what was moved
 *		is missing there afterwards
 * @len:	bytes
 * @done:	bytes moved, also on failure
 *
 * Nothing is copied. A huge page is moved as one if @dst and @src are aligned
 * to it and no page table is in use at @dst; else its pages are moved one by
 * one.
 *
 * Return: as uffd_copy(); -ENOTTY or -EINVAL (the kernel or this memory does
 *	   not permit it), -EBUSY (a page at @src + @done is in use elsewhere)
 */
int uffd_move(int fd, void *dst, void *src, size_t len, size_t *done);

/**
 * uffd_wake() - Have the threads that wait for a range repeat their access
 * @fd:		userfaultfd
 * @addr:	start
 * @len:	bytes
 */
void uffd_wake(int fd, void *addr, size_t len);

/**
 * uffd_read() - Read faults from the descriptor
 * @fd:		userfaultfd
 * @out:	filled in
 * @max:	room there; at most 64 are read
 *
 * Return: number of faults, 0 if there is none, -errno
 */
int uffd_read(int fd, struct uffd_fault *out, int max);

/**
 * uffd_cause() - The text for an error of uffd_copy() and the like
 * @rc:		what uffd_copy(), uffd_zero() or uffd_poison() returned
 *
 * Return: literal text
 */
const char *uffd_cause(int rc);

#endif /* FERRY_UFFD_H */
