// SPDX-License-Identifier: MIT
/* uffd.c - userfaultfd, typed */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "uffd.h"

/* Debian 12's headers are of Linux 6.1; these came with 6.6 */
#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON		(1 << 14)
#define _UFFDIO_POISON			(0x08)
#define UFFDIO_POISON \
	_IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_poison)
struct uffdio_poison {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};
#endif

/* And these with 6.8 */
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE		(1 << 16)
#define _UFFDIO_MOVE			(0x05)
#define UFFDIO_MOVE \
	_IOWR(UFFDIO, _UFFDIO_MOVE, struct uffdio_move)
struct uffdio_move {
	__u64 dst, src, len, mode;
	__s64 move;
};
#endif

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW		_IO(0xAA, 0x00)
#endif

_Static_assert(UFFD_MISSING == UFFDIO_REGISTER_MODE_MISSING &&
	      UFFD_MINOR == UFFDIO_REGISTER_MODE_MINOR, "modes pass as is");

/* The errors of both ways to open a userfaultfd, for the message */
struct open_errors {
	int dev_errno, sys_errno;
};

static int raw_open(struct open_errors *w)
{
	int dev, fd = -1;

	dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	w->dev_errno = errno;
	if (dev >= 0) {
		fd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
		w->dev_errno = errno;
		close(dev);
	}
	if (fd < 0) {
		fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
		w->sys_errno = errno;
	}
	return fd;
}

static int set_open_error(const struct open_errors *w, struct error *err)
{
	if (w->sys_errno == ENOSYS)
		return error_set(err, ENOSYS,
			"this kernel has no userfaultfd (Linux 6.6 or newer with CONFIG_USERFAULTFD is needed)");
	if (w->sys_errno == EMFILE || w->sys_errno == ENFILE)
		return error_set(err, w->sys_errno,
			"cannot open a userfaultfd: %s (raise the limit of open files: ulimit -n)",
			strerrordesc_np(w->sys_errno));
	return error_set(err, w->sys_errno,
		"cannot open /dev/userfaultfd: %s (give this user access with 'setfacl -m u:USER:rw /dev/userfaultfd', or set vm.unprivileged_userfaultfd=1, or run as root; the system call said: %s)",
		strerrordesc_np(w->dev_errno), strerrordesc_np(w->sys_errno));
}

/* UFFDIO_API works once on each descriptor: ask on a separate one */
static int ask_features(uint64_t *features)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct open_errors w = { 0 };
	int fd, rc = 0;

	fd = raw_open(&w);
	if (fd < 0)
		return -w.sys_errno;
	if (ioctl(fd, UFFDIO_API, &api))
		rc = -errno;
	*features = api.features;
	close(fd);
	return rc;
}

int uffd_has_poison(void)
{
	uint64_t features = 0;
	int rc = ask_features(&features);

	return rc ? rc : !!(features & UFFD_FEATURE_POISON);
}

static int negotiate(int fd, bool need_poison, struct error *err)
{
	const uint64_t need = UFFD_FEATURE_MISSING_SHMEM |
		UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_THREAD_ID;
	struct uffdio_api api = { .api = UFFD_API };
	uint64_t has = 0;
	int rc;

	rc = ask_features(&has);
	if (rc)
		return error_set(err, -rc, "userfaultfd: UFFDIO_API: %s",
				 strerrordesc_np(-rc));
	if ((has & need) != need)
		return error_set(err, ENOTSUP,
			"userfaultfd lacks feature bits 0x%llx (kernel too old: Linux 6.6 or newer is needed)",
			(unsigned long long)(need & ~has));
	if (need_poison && !(has & UFFD_FEATURE_POISON))
		return error_set(err, ENOTSUP,
			"userfaultfd has no UFFDIO_POISON (kernel too old: Linux 6.6 or newer is needed)");

	api.features = need |
		(has & (UFFD_FEATURE_POISON | UFFD_FEATURE_MOVE));
	if (ioctl(fd, UFFDIO_API, &api)) {
		rc = errno;
		return error_set(err, rc, "userfaultfd: UFFDIO_API: %s",
				 strerrordesc_np(rc));
	}
	return 0;
}

int uffd_open(bool need_poison, struct error *err)
{
	struct open_errors w = { 0 };
	int fd, rc;

	fd = raw_open(&w);
	if (fd < 0)
		return set_open_error(&w, err);
	rc = negotiate(fd, need_poison, err);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

int uffd_check_ioctls(uint64_t ioctls, int mode, bool poison,
		      struct error *err)
{
	const struct {
		unsigned op;
		bool needed;
		const char *name;
	} ops[] = {
		{ _UFFDIO_POISON, poison, "UFFDIO_POISON" },
		{ _UFFDIO_COPY, mode & UFFD_MISSING, "UFFDIO_COPY" },
		{ _UFFDIO_CONTINUE, mode & UFFD_MINOR, "UFFDIO_CONTINUE" },
		{ _UFFDIO_WAKE, true, "UFFDIO_WAKE" },
	};

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (ops[i].needed && !(ioctls & (uint64_t)1 << ops[i].op))
			return error_set(err, ENOTSUP,
				"userfaultfd: the kernel does not offer %s for this kind of guest RAM (it offers operations 0x%llx): use another kind (--ram) or a newer kernel",
				ops[i].name, (unsigned long long)ioctls);
	return 0;
}

int uffd_register(int fd, void *addr, size_t len, int mode,
		  struct error *err)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)addr, len },
		.mode = (uint64_t)mode,
	};
	const uint64_t poison = (uint64_t)1 << _UFFDIO_POISON;
	int rc;

	if (ioctl(fd, UFFDIO_REGISTER, &reg)) {
		rc = errno;
		return error_set(err, rc,
			"userfaultfd: cannot register %zu bytes of guest RAM: %s",
			len, strerrordesc_np(rc));
	}
	/* Ask for the kernel's features only where the range lacks the bit */
	rc = uffd_check_ioctls(reg.ioctls, mode, !(reg.ioctls & poison) &&
			       uffd_has_poison() == 1, err);
	if (rc)
		uffd_unregister(fd, addr, len);
	return rc;
}

int uffd_unregister(int fd, void *addr, size_t len)
{
	struct uffdio_range range = { (uintptr_t)addr, len };

	return ioctl(fd, UFFDIO_UNREGISTER, &range) ? -errno : 0;
}

/*
 * Common to the three placing operations: the kernel stops at a page that is
 * there already, or when it is interrupted, and tells how many bytes are done.
 * If any are, the errno is EAGAIN in both cases; continuing from there tells
 * the two apart.
 */
typedef int place_fn(int fd, uint64_t dst, uint64_t src, size_t len,
		     int64_t *done);

static int place_range(place_fn *fn, int fd, void *dst, const void *src,
		 size_t len, size_t *done)
{
	int rc = 0;

	*done = 0;
	while (*done < len) {
		int64_t now = 0;

		rc = fn(fd, (uintptr_t)dst + *done, (uintptr_t)src + *done,
			len - *done, &now);
		if (now > 0)
			*done += (size_t)now;
		if (rc && rc != -EAGAIN)
			break;
	}
	return *done == len ? 0 : rc;
}

static int copy_once(int fd, uint64_t dst, uint64_t src, size_t len,
		     int64_t *done)
{
	struct uffdio_copy c = { .dst = dst, .src = src, .len = len };
	int rc = ioctl(fd, UFFDIO_COPY, &c) ? -errno : 0;

	*done = c.copy;
	return rc;
}

static int zero_once(int fd, uint64_t dst, uint64_t src, size_t len,
		     int64_t *done)
{
	struct uffdio_zeropage z = { .range = { dst, len } };
	int rc = ioctl(fd, UFFDIO_ZEROPAGE, &z) ? -errno : 0;

	(void)src;
	*done = z.zeropage;
	return rc;
}

static int poison_once(int fd, uint64_t dst, uint64_t src, size_t len,
		       int64_t *done)
{
	struct uffdio_poison p = { .range = { dst, len } };
	int rc = ioctl(fd, UFFDIO_POISON, &p) ? -errno : 0;

	(void)src;
	*done = p.updated;
	return rc;
}

static int move_once(int fd, uint64_t dst, uint64_t src, size_t len,
		     int64_t *done)
{
	struct uffdio_move m = { .dst = dst, .src = src, .len = len };
	int rc = ioctl(fd, UFFDIO_MOVE, &m) ? -errno : 0;

	*done = m.move;
	/* Nothing moved: the caller has another way, and need not try for ever */
	return rc == -EAGAIN && m.move <= 0 ? -EBUSY : rc;
}

int uffd_copy(int fd, void *dst, const void *src, size_t len, size_t *done)
{
	return place_range(copy_once, fd, dst, src, len, done);
}

int uffd_zero(int fd, void *dst, size_t len, size_t *done)
{
	return place_range(zero_once, fd, dst, NULL, len, done);
}

int uffd_poison(int fd, void *dst, size_t len, size_t *done)
{
	return place_range(poison_once, fd, dst, NULL, len, done);
}

int uffd_move(int fd, void *dst, void *src, size_t len, size_t *done)
{
	return place_range(move_once, fd, dst, src, len, done);
}

void uffd_wake(int fd, void *addr, size_t len)
{
	struct uffdio_range range = { (uintptr_t)addr, len };

	/* Fails only for a range that is not registered: no thread waits */
	ioctl(fd, UFFDIO_WAKE, &range);
}

int uffd_read(int fd, struct uffd_fault *out, int max)
{
	struct uffd_msg msg[64];
	int n = 0;
	ssize_t got;

	if (max > 64)
		max = 64;
	got = read(fd, msg, sizeof(msg[0]) * (size_t)max);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;

	for (int i = 0; i < (int)(got / (ssize_t)sizeof(msg[0])); i++) {
		if (msg[i].event != UFFD_EVENT_PAGEFAULT)
			continue;
		out[n].addr = msg[i].arg.pagefault.address;
		out[n++].tid = (pid_t)msg[i].arg.pagefault.feat.ptid;
	}
	return n;
}

const char *uffd_cause(int rc)
{
	switch (-rc) {
	case EEXIST:
		return "a page is there already";
	case ENOENT:
		return "the range is not registered (memory layout changed)";
	case ESRCH:
		return "the process that owned the memory has exited";
	case ENOMEM:
		return "out of memory for pages or page tables";
	case EINVAL:
		return "address or length is not a multiple of the page size";
	case EFAULT:
		return "the contents could not be read";
	default:
		return strerrordesc_np(-rc);
	}
}
