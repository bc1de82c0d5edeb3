/* SPDX-License-Identifier: MIT */
/*
 * uffd.h - userfaultfd, typed
 *
 * The one place that knows <linux/userfaultfd.h>. Sources: the kernel's
 * Documentation/admin-guide/mm/userfaultfd.rst, ioctl_userfaultfd(2), and
 * for the poison operation the text that its author sent for the latter.
 * What the code relies on beyond them is proved by tests/kernel/.
 */
#ifndef FERRY_UFFD_H
#define FERRY_UFFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/base/error.h"

/* What a registered range reports; combined with | */
enum uffd_mode {
	UFFD_MISSING	= 1,	/* a touch of a page that isn't there */
	UFFD_MINOR	= 4,	/* memfd: there in the file, not mapped here */
};

/**
 * struct uffd_fault - One thread waits for one page
 * @addr:	host virtual address, rounded down to the host's page
 * @tid:	thread that touched it; 0 if the kernel doesn't say
 */
struct uffd_fault {
	uint64_t addr;
	pid_t tid;
};

/**
 * uffd_open() - Get a userfaultfd that handles faults of KVM, too
 * @need_poison: fail if the kernel has no UFFDIO_POISON
 * @err:	why not, with the cure
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
 * Return: 1, 0, or -errno if no userfaultfd can be had at all
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
 * @err:	why not
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
 * uffd_unregister() - Let the kernel handle a range again
 * @fd:		userfaultfd
 * @addr:	start
 * @len:	bytes
 *
 * Pages still missing become zero pages on touch, poison stays, whoever
 * waited goes on.
 *
 * Return: 0, -errno
 */
int uffd_unregister(int fd, void *addr, size_t len);

/**
 * uffd_copy() - Place pages with these contents, and wake who waits for them
 * @fd:		userfaultfd
 * @dst:	where, multiple of the page size
 * @src:	contents; must not be in a registered range
 * @len:	bytes, multiple of the page size
 * @done:	bytes placed, also on failure
 *
 * Return: 0, -EEXIST (a page is there already, at @dst + @done), -ENOENT
 *	   (range not registered), -ESRCH (process gone), -ENOMEM, -EINVAL,
 *	   -EFAULT
 */
int uffd_copy(int fd, void *dst, const void *src, size_t len, size_t *done);

/**
 * uffd_zero() - Place zero pages
 * @fd:		userfaultfd
 * @dst:	where
 * @len:	bytes
 * @done:	bytes placed, also on failure
 *
 * Return: as uffd_copy()
 */
int uffd_zero(int fd, void *dst, size_t len, size_t *done);

/**
 * uffd_poison() - Make pages raise SIGBUS on touch (UFFDIO_POISON)
 * @fd:		userfaultfd
 * @dst:	where
 * @len:	bytes
 * @done:	bytes poisoned, also on failure
 *
 * Goes on by itself where the kernel stops with EAGAIN part of the way.
 *
 * Return: as uffd_copy(); -EEXIST at @dst + @done means a page, or poison,
 *	   is there already: nothing is ever overwritten
 */
int uffd_poison(int fd, void *dst, size_t len, size_t *done);

/**
 * uffd_wake() - Let whoever waits for a range look again
 * @fd:		userfaultfd
 * @addr:	start
 * @len:	bytes
 */
void uffd_wake(int fd, void *addr, size_t len);

/**
 * uffd_read() - Take waiting faults off the descriptor
 * @fd:		userfaultfd
 * @out:	where to
 * @max:	room there, at most 64 are taken
 *
 * Return: number of faults, 0 if none waits, -errno
 */
int uffd_read(int fd, struct uffd_fault *out, int max);

/**
 * uffd_cause() - A placing error as a person will read it
 * @rc:		what uffd_copy(), uffd_zero() or uffd_poison() returned
 *
 * Return: literal text
 */
const char *uffd_cause(int rc);

#endif /* FERRY_UFFD_H */
