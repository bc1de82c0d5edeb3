// SPDX-License-Identifier: MIT
/*
 * probe.c - A page that can't be read: is it lost?
 *
 * process_vm_readv() fails with EFAULT for poison and for other reasons alike.
 * MADV_POPULATE_READ tells them apart: EHWPOISON for poison only.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "ktest.h"

#define HUGE	(2UL << 20)

static int populate(void *addr)
{
	if (!madvise(addr, PAGE, MADV_POPULATE_READ))
		return 0;
	return -errno;
}

static int read_page(void *addr)
{
	unsigned char page[PAGE];
	struct iovec to = { page, PAGE }, from = { addr, PAGE };
	ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

	return n < 0 ? -errno : 0;
}

static void need_probe(void)
{
	/* A length of 0 asks only whether the kernel knows the advice */
	if (madvise(NULL, 0, MADV_POPULATE_READ))
		SKIP("no MADV_POPULATE_READ: needs Linux 5.14");
}

static void marker(struct mapping *m)
{
	int uffd = uffd_missing(m);

	need_probe();
	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	EXPECT(-EFAULT, read_page(m->addr));
	EXPECT(-EHWPOISON, populate(m->addr));
	EXPECT(0, uffd_unregister(uffd, m->addr, m->len));
	EXPECT(-EHWPOISON, populate(m->addr));
	EXPECT(0, populate(m->addr + PAGE));
}

static void no_access(struct mapping *m)
{
	need_probe();
	CHECK(!mprotect(m->addr, PAGE, PROT_NONE), "mprotect: %m");
	EXPECT(-EFAULT, read_page(m->addr));
	EXPECT(-EINVAL, populate(m->addr));
}

static void beyond_the_file(struct mapping *m)
{
	siginfo_t si;

	need_probe();
	CHECK(!ftruncate(m->fd, PAGE), "ftruncate: %m");
	EXPECT(-EFAULT, read_page(m->addr + PAGE));
	EXPECT(-EFAULT, populate(m->addr + PAGE));
	EXPECT(0, populate(m->addr));
	CHECK(!last_sigbus(&si), "a SIGBUS came");
}

static void huge(struct mapping *m)
{
	int uffd;
	unsigned char *p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
				21 << MAP_HUGE_SHIFT, -1, 0);

	(void)m;
	need_probe();
	if (p == MAP_FAILED)
		SKIP("no free huge page: %m");
	uffd = uffd_open(O_NONBLOCK, UFFD_FEATURE_MISSING_HUGETLBFS);
	EXPECT(0, uffd_register(uffd, p, HUGE, UFFDIO_REGISTER_MODE_MISSING,
				NULL));
	EXPECT(0, uffd_poison(uffd, p, HUGE));
	EXPECT(-EFAULT, read_page(p + 3 * PAGE));
	EXPECT(-EHWPOISON, populate(p + 3 * PAGE));
}

static void real(struct mapping *m)
{
	siginfo_t si;

	need_probe();
	m->addr[0] = 1;
	ktest_need_hwpoison();
	if (madvise(m->addr, PAGE, MADV_HWPOISON)) {
		CHECK(errno == EINVAL || errno == EPERM, "MADV_HWPOISON: %m");
		SKIP("MADV_HWPOISON: %m");
	}
	last_sigbus(&si);
	EXPECT(-EHWPOISON, populate(m->addr));
}

static const struct kcase cases[] = {
	{ "marker", "UFFDIO_POISON: EFAULT by address, MADV_POPULATE_READ "
	  "EHWPOISON", marker, ON_BOTH },
	{ "huge", "the same for a huge page", huge, ON_NONE },
	{ "no-access", "PROT_NONE: MADV_POPULATE_READ EINVAL", no_access,
	  ON_BOTH },
	{ "no-file", "beyond the end of the file: EFAULT by address and by "
	  "MADV_POPULATE_READ", beyond_the_file, ON_MEMFD },
	{ "real", "MADV_HWPOISON: MADV_POPULATE_READ EHWPOISON", real,
	  ON_BOTH },
};

KTEST_MAIN(cases)
