// SPDX-License-Identifier: MIT
/*
 * kuffd.c - userfaultfd for the tests/kernel programs
 *
 * One function for each ioctl; it returns 0 or -errno, and the case checks that
 * value. Only functions that prepare a case check results themselves.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>

#include "ktest.h"

/**
 * uffd_new() - Get a userfaultfd, with no handshake yet
 * @flags:	O_CLOEXEC, O_NONBLOCK, UFFD_USER_MODE_ONLY
 *
 * Return: file descriptor, or -errno of the system call, which is tried when
 * /dev/userfaultfd (Linux 6.1) is not there or may not be opened
 */
int uffd_new(int flags)
{
	int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC), fd = -1;

	if (dev >= 0) {
		fd = ioctl(dev, USERFAULTFD_IOC_NEW, flags);
		close(dev);
	}
	if (fd < 0)
		fd = (int)syscall(SYS_userfaultfd, flags);
	return fd < 0 ? -errno : fd;
}

/**
 * uffd_open() - Get a userfaultfd with the given features, or skip the case
 * @flags:	as uffd_new(); O_CLOEXEC is added
 * @features:	UFFD_FEATURE_...; UFFD_FEATURE_POISON is added
 *
 * Return: file descriptor
 */
int uffd_open(int flags, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = features | UFFD_FEATURE_POISON };
	int fd = uffd_new(flags | O_CLOEXEC);

	if (fd < 0)
		SKIP("no userfaultfd (%s): run as root, or allow it with "
		     "vm.unprivileged_userfaultfd=1", strerror(-fd));
	if (ioctl(fd, UFFDIO_API, &api))
		SKIP("UFFDIO_API with features 0x%llx: %m (UFFDIO_POISON "
		     "needs Linux 6.6)",
		     (unsigned long long)(features | UFFD_FEATURE_POISON));
	return fd;
}

/**
 * uffd_register() - UFFDIO_REGISTER
 * @uffd:	userfaultfd
 * @addr:	start
 * @len:	size, bytes
 * @mode:	UFFDIO_REGISTER_MODE_...
 * @ioctls:	if not NULL, set to the operations allowed on the range
 *
 * Return: 0 or -errno
 */
int uffd_register(int uffd, void *addr, size_t len, uint64_t mode,
		  uint64_t *ioctls)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)addr, len }, .mode = mode,
	};

	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		return -errno;
	if (ioctls)
		*ioctls = reg.ioctls;
	return 0;
}

/**
 * uffd_unregister() - UFFDIO_UNREGISTER
 * @uffd:	userfaultfd
 * @addr:	start
 * @len:	size, bytes
 *
 * Return: 0 or -errno
 */
int uffd_unregister(int uffd, void *addr, size_t len)
{
	struct uffdio_range r = { (uintptr_t)addr, len };

	return ioctl(uffd, UFFDIO_UNREGISTER, &r) ? -errno : 0;
}

/**
 * uffd_wake() - UFFDIO_WAKE
 * @uffd:	userfaultfd
 * @addr:	start
 * @len:	size, bytes
 *
 * Return: 0 or -errno
 */
int uffd_wake(int uffd, void *addr, size_t len)
{
	struct uffdio_range r = { (uintptr_t)addr, len };

	return ioctl(uffd, UFFDIO_WAKE, &r) ? -errno : 0;
}

/**
 * uffd_poison_mode() - UFFDIO_POISON with all of its arguments and results
 * @uffd:	userfaultfd
 * @addr:	start
 * @len:	size, bytes
 * @mode:	UFFDIO_POISON_MODE_...
 * @updated:	in: what the field holds before; out: what it holds after
 *
 * Return: 0 or -errno
 */
int uffd_poison_mode(int uffd, void *addr, size_t len, uint64_t mode,
		     int64_t *updated)
{
	struct uffdio_poison p = {
		.range = { (uintptr_t)addr, len }, .mode = mode,
		.updated = *updated,
	};
	int rc = ioctl(uffd, UFFDIO_POISON, &p);

	*updated = p.updated;
	return rc ? -errno : 0;
}

/**
 * uffd_poison() - UFFDIO_POISON, wake, all of the range
 * @uffd:	userfaultfd
 * @addr:	start
 * @len:	size, bytes
 *
 * Return: 0 or -errno
 */
int uffd_poison(int uffd, void *addr, size_t len)
{
	int64_t updated = 0;

	return uffd_poison_mode(uffd, addr, len, 0, &updated);
}

/**
 * uffd_copy() - UFFDIO_COPY of one page
 * @uffd:	userfaultfd
 * @addr:	the page
 * @fill:	value of all its bytes
 *
 * Return: 0 or -errno
 */
int uffd_copy(int uffd, void *addr, int fill)
{
	unsigned char src[PAGE];
	struct uffdio_copy c = { .dst = (uintptr_t)addr,
				 .src = (uintptr_t)src, .len = PAGE };

	memset(src, fill, sizeof(src));
	return ioctl(uffd, UFFDIO_COPY, &c) ? -errno : 0;
}

/**
 * uffd_continue() - UFFDIO_CONTINUE of one page
 * @uffd:	userfaultfd
 * @addr:	the page
 *
 * Return: 0 or -errno
 */
int uffd_continue(int uffd, void *addr)
{
	struct uffdio_continue c = { .range = { (uintptr_t)addr, PAGE } };

	return ioctl(uffd, UFFDIO_CONTINUE, &c) ? -errno : 0;
}

/**
 * uffd_zeropage() - UFFDIO_ZEROPAGE of one page
 * @uffd:	userfaultfd
 * @addr:	the page
 *
 * Return: 0 or -errno
 */
int uffd_zeropage(int uffd, void *addr)
{
	struct uffdio_zeropage z = { .range = { (uintptr_t)addr, PAGE } };

	return ioctl(uffd, UFFDIO_ZEROPAGE, &z) ? -errno : 0;
}

/**
 * uffd_move() - UFFDIO_MOVE
 * @uffd:	userfaultfd
 * @dst:	where the pages go, registered
 * @src:	where they are, anonymous
 * @len:	size, bytes
 *
 * Return: 0 or -errno
 */
int uffd_move(int uffd, void *dst, void *src, size_t len)
{
	struct uffdio_move v = { .dst = (uintptr_t)dst,
				 .src = (uintptr_t)src, .len = len };

	return ioctl(uffd, UFFDIO_MOVE, &v) ? -errno : 0;
}

/**
 * uffd_wait_fault() - Wait for a page fault; anything else ends the case
 * @uffd:	userfaultfd
 * @msg:	filled in
 */
void uffd_wait_fault(int uffd, struct uffd_msg *msg)
{
	struct pollfd p = { .fd = uffd, .events = POLLIN };

	CHECK(poll(&p, 1, 1000 * CASE_SECONDS / 2) == 1,
	      "no page fault was reported");
	CHECK(read(uffd, msg, sizeof(*msg)) == sizeof(*msg),
	      "read of the userfaultfd: %m");
	CHECK(msg->event == UFFD_EVENT_PAGEFAULT,
	      "event 0x%x, expected a page fault", msg->event);
}

/**
 * uffd_quiet() - Is there nothing to read on the userfaultfd, after a rest?
 * @uffd:	userfaultfd, opened with O_NONBLOCK (else poll() reports errors)
 */
bool uffd_quiet(int uffd)
{
	struct pollfd p = { .fd = uffd, .events = POLLIN };

	ktest_rest();
	return poll(&p, 1, 0) == 0;
}

/**
 * uffd_missing() - A userfaultfd with all of the mapping registered as missing
 * @m:		the mapping
 *
 * Return: file descriptor; failure ends the case
 */
int uffd_missing(struct mapping *m)
{
	int uffd = uffd_open(O_NONBLOCK, 0);

	EXPECT(0, uffd_register(uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	return uffd;
}
