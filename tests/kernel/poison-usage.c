// SPDX-License-Identifier: MIT
/*
 * poison-usage.c - Since when UFFDIO_POISON exists, and what it is called on
 *
 * Man page: "Since Linux 6.6." "The argp argument is a pointer to a [...]
 * structure". Not in the man page: EFAULT where argp cannot be read, and EINVAL
 * before the UFFDIO_API handshake. Page 0, which cannot be mapped, is EINVAL or
 * ENOENT.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "ktest.h"

/* A vendor may add the operation to an older kernel; a newer one has it. The
 * handshake asks for no feature: the operation works all the same.
 */
static void since(struct mapping *m)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_poison p = { .range = { (uintptr_t)m->addr, PAGE } };
	int major = 0, minor = 0, uffd = uffd_new(O_CLOEXEC | O_NONBLOCK);
	struct utsname u;
	bool has;

	if (uffd < 0)
		SKIP("no userfaultfd: %s", strerror(-uffd));
	CHECK(!uname(&u) && sscanf(u.release, "%d.%d", &major, &minor) == 2,
	      "uname: '%s'", u.release);
	CHECK(!ioctl(uffd, UFFDIO_API, &api), "UFFDIO_API: %m");
	has = api.features & UFFD_FEATURE_POISON;
	EXPECT(0, uffd_register(uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	if (has)
		CHECK(!ioctl(uffd, UFFDIO_POISON, &p), "UFFDIO_POISON: %m");
	else
		CHECK(ioctl(uffd, UFFDIO_POISON, &p) && errno == EINVAL,
		      "UFFDIO_POISON without its feature bit: %m");
	CHECK(has || major < 6 || (major == 6 && minor < 6),
	      "Linux %s has no UFFDIO_POISON", u.release);
	NOTE("Linux %s %s it", u.release, has ? "has" : "does not have");
}

static void handshake(struct mapping *m)
{
	int uffd = uffd_new(O_CLOEXEC | O_NONBLOCK);
	struct uffdio_poison p = { .range = { (uintptr_t)m->addr, PAGE } };

	if (uffd < 0)
		SKIP("no userfaultfd: %s", strerror(-uffd));
	CHECK(ioctl(uffd, UFFDIO_POISON, &p) == -1 && errno == EINVAL,
	      "UFFDIO_POISON before UFFDIO_API: %m");
	CHECK(!poisoned(m->addr), "the page was poisoned");
}

static void pointer(struct mapping *m)
{
	unsigned char *hole = mmap(NULL, PAGE, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int uffd = uffd_missing(m);

	CHECK(hole != MAP_FAILED, "mmap: %m");
	CHECK(ioctl(uffd, UFFDIO_POISON, NULL) == -1 && errno == EFAULT,
	      "argp NULL: %m");
	CHECK(ioctl(uffd, UFFDIO_POISON, hole) == -1 && errno == EFAULT,
	      "argp unreadable: %m");
	EXPECT(0, uffd_unregister(uffd, m->addr, m->len));
	CHECK(!poisoned(m->addr), "the page was poisoned");
}

/* Some kernels check vm.mmap_min_addr first, others look for the memory */
static void lowest_addresses(struct mapping *m)
{
	int uffd = uffd_missing(m), rc;
	int64_t updated = 0;

	rc = uffd_poison_mode(uffd, NULL, PAGE, 0, &updated);
	CHECK(rc == -EINVAL || rc == -ENOENT, "%s", strerror(-rc));
	CHECK(updated == (rc == -EINVAL ? 0 : rc), "updated = %lld",
	      (long long)updated);
	NOTE("%s", strerror(-rc));
}

/* The size in the ioctl number is the structure's: another size is unknown */
static void other_size(struct mapping *m)
{
	struct uffdio_poison p = { .range = { (uintptr_t)m->addr, PAGE } };
	int uffd = uffd_missing(m);

	CHECK(ioctl(uffd, _IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_range),
		    &p) == -1 && errno == EINVAL, "with another size: %m");
	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
}

static const struct kcase cases[] = {
	{ "since", "Linux 6.6 and newer have UFFDIO_POISON, also if the "
	  "handshake did not ask for it; older ones EINVAL", since, ON_BOTH },
	{ "handshake", "before UFFDIO_API it is EINVAL", handshake, ON_BOTH },
	{ "argp", "argp that cannot be read: EFAULT, nothing is done", pointer,
	  ON_BOTH },
	{ "lowest", "page 0: EINVAL or ENOENT",
	  lowest_addresses, ON_BOTH },
	{ "size", "an ioctl number with another structure size: EINVAL",
	  other_size, ON_BOTH },
};

KTEST_MAIN(cases)
