// SPDX-License-Identifier: MIT
/*
 * poison-abi.c - UFFDIO_POISON's numbers, and where the kernel announces it
 *
 * Man page: "1 << _UFFDIO_POISON: The UFFDIO_POISON operation is supported."
 * The man page calls the argument a uffdio_continue; it is a uffdio_poison, of
 * the same layout.
 */
#include <fcntl.h>

#include "ktest.h"

_Static_assert(_UFFDIO_POISON == 0x08, "number of the operation");
_Static_assert(UFFD_FEATURE_POISON == 1 << 14, "feature bit");
_Static_assert(UFFDIO_POISON_MODE_DONTWAKE == 1, "mode bit");
_Static_assert(sizeof(struct uffdio_poison) == 32, "size");
_Static_assert(offsetof(struct uffdio_poison, mode) == 16, "mode");
_Static_assert(offsetof(struct uffdio_poison, updated) == 24, "updated");
_Static_assert(UFFDIO_POISON == 0xc020aa08, "ioctl number");

static void feature(struct mapping *m)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = uffd_new(O_CLOEXEC);

	(void)m;
	if (fd < 0)
		SKIP("no userfaultfd: %s", strerror(-fd));
	CHECK(!ioctl(fd, UFFDIO_API, &api), "UFFDIO_API: %m");
	CHECK(api.features & UFFD_FEATURE_POISON,
	      "features 0x%llx: no UFFDIO_POISON: needs Linux 6.6",
	      (unsigned long long)api.features);
	NOTE("features 0x%llx", (unsigned long long)api.features);
}

static void announced(struct mapping *m, uint64_t features, uint64_t mode)
{
	int uffd = uffd_open(0, features);
	uint64_t ioctls = 0;

	EXPECT(0, uffd_register(uffd, m->addr, m->len, mode, &ioctls));
	CHECK(ioctls & (uint64_t)1 << _UFFDIO_POISON, "ioctls 0x%llx",
	      (unsigned long long)ioctls);
	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	CHECK(poisoned(m->addr), "the page can be read");
}

static void register_missing(struct mapping *m)
{
	announced(m, 0, UFFDIO_REGISTER_MODE_MISSING);
}

static void register_wp(struct mapping *m)
{
	announced(m, UFFD_FEATURE_WP_HUGETLBFS_SHMEM, UFFDIO_REGISTER_MODE_WP);
}

static void register_minor(struct mapping *m)
{
	announced(m, UFFD_FEATURE_MINOR_SHMEM, UFFDIO_REGISTER_MODE_MINOR);
}

static const struct kcase cases[] = {
	{ "feature", "UFFDIO_API offers UFFD_FEATURE_POISON", feature,
	  ON_NONE },
	{ "missing", "UFFDIO_REGISTER offers it: mode missing",
	  register_missing, ON_BOTH },
	{ "wp", "UFFDIO_REGISTER offers it: mode write-protect", register_wp,
	  ON_BOTH },
	{ "minor", "UFFDIO_REGISTER offers it: mode minor", register_minor,
	  ON_MEMFD },
};

KTEST_MAIN(cases)
