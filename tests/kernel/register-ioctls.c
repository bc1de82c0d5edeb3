// SPDX-License-Identifier: MIT
/*
 * register-ioctls.c - What UFFDIO_REGISTER says a range can be used for
 *
 * Man page: "1 << _UFFDIO_POISON: The UFFDIO_POISON operation is supported." in
 * the field ioctls, for every kind of memory and mode that can be registered.
 * vmm/memory/uffd.c:uffd_register() refuses a range without it. Also, since
 * Ferry uses them: COPY always, ZEROPAGE except for huge pages, CONTINUE with
 * mode minor, WRITEPROTECT with mode write-protect. Minor is refused for
 * anonymous memory. Each case shows the bits in its note, and tries
 * UFFDIO_POISON where it is promised.
 *
 * No huge page need be free: a marker takes none.
 */
#include <fcntl.h>
#include <stdio.h>

#include "ktest.h"

#define HUGE	(2UL << 20)
#define BIT(op)	((uint64_t)1 << (op))

#define MISSING	UFFDIO_REGISTER_MODE_MISSING
#define WP	UFFDIO_REGISTER_MODE_WP
#define MINOR	UFFDIO_REGISTER_MODE_MINOR

/** struct memory - A kind of memory to register
 * @page:	its page size: the smallest length to poison
 * @minor:	mode minor is possible
 * @create:	maps @len bytes of it, or skips the case
 */
struct memory {
	size_t page;
	bool minor;
	unsigned char *(*create)(size_t len);
};

static unsigned char *map(size_t len, int flags, int fd)
{
	unsigned char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
				flags | MAP_NORESERVE, fd, 0);

	if (p == MAP_FAILED && flags & MAP_HUGETLB)
		SKIP("no 2 MiB huge pages: %m");
	CHECK(p != MAP_FAILED, "mmap: %m");
	if (fd < 0 && !(flags & MAP_HUGETLB))
		madvise(p, len, MADV_NOHUGEPAGE);
	return p;
}

static unsigned char *file(size_t len, int flags, unsigned memfd_flags)
{
	int fd = memfd_create("ferry-register", MFD_CLOEXEC | memfd_flags);

	if (fd < 0 && memfd_flags)
		SKIP("no memfd of 2 MiB huge pages: %m");
	CHECK(fd >= 0 && !ftruncate(fd, (off_t)len), "memfd: %m");
	return map(len, flags, fd);
}

static unsigned char *anon_create(size_t len)
{
	return map(len, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static unsigned char *shared_create(size_t len)
{
	return map(len, MAP_SHARED | MAP_ANONYMOUS, -1);
}

static unsigned char *memfd_create_shared(size_t len)
{
	return file(len, MAP_SHARED, 0);
}

static unsigned char *memfd_create_private(size_t len)
{
	return file(len, MAP_PRIVATE, 0);
}

static unsigned char *huge_create(size_t len)
{
	return map(len, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		   21 << MAP_HUGE_SHIFT, -1);
}

static unsigned char *huge_create_memfd(size_t len)
{
	return file(len, MAP_SHARED, MFD_HUGETLB | 21u << MAP_HUGE_SHIFT);
}

static const struct memory anon = { PAGE, false, anon_create };
static const struct memory shared = { PAGE, true, shared_create };
static const struct memory memfd = { PAGE, true, memfd_create_shared };
static const struct memory private = { PAGE, true, memfd_create_private };
static const struct memory huge = { HUGE, true, huge_create };
static const struct memory huge_memfd = { HUGE, true, huge_create_memfd };

static uint64_t expected(const struct memory *mem, uint64_t mode)
{
	return BIT(_UFFDIO_POISON) | BIT(_UFFDIO_WAKE) | BIT(_UFFDIO_COPY) |
	       (mem->page == PAGE ? BIT(_UFFDIO_ZEROPAGE) : 0) |
	       (mode & WP ? BIT(_UFFDIO_WRITEPROTECT) : 0) |
	       (mode & MINOR ? BIT(_UFFDIO_CONTINUE) : 0);
}

static int name_bits(char *out, size_t size, uint64_t ioctls)
{
	static const struct {
		unsigned op;
		const char *name;
	} ops[] = {
		{ _UFFDIO_WAKE, "WAKE" }, { _UFFDIO_COPY, "COPY" },
		{ _UFFDIO_ZEROPAGE, "ZEROPAGE" }, { _UFFDIO_MOVE, "MOVE" },
		{ _UFFDIO_WRITEPROTECT, "WRITEPROTECT" },
		{ _UFFDIO_CONTINUE, "CONTINUE" }, { _UFFDIO_POISON, "POISON" },
	};
	int n = snprintf(out, size, "0x%llx:", (unsigned long long)ioctls);

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (ioctls & BIT(ops[i].op))
			n += snprintf(out + n, size - (size_t)n, " %s",
				      ops[i].name);
	return n;
}

static void one_mode(const struct memory *mem, uint64_t mode)
{
	const uint64_t features = UFFD_FEATURE_MINOR_SHMEM |
		UFFD_FEATURE_MINOR_HUGETLBFS | UFFD_FEATURE_MISSING_SHMEM |
		UFFD_FEATURE_MISSING_HUGETLBFS |
		UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
	int uffd = uffd_open(O_NONBLOCK, features);
	unsigned char *p = mem->create(2 * mem->page);
	uint64_t ioctls = 0, want = expected(mem, mode);
	char bits[160];

	if (mode & MINOR && !mem->minor) {
		EXPECT(-EINVAL, uffd_register(uffd, p, 2 * mem->page, mode,
					      &ioctls));
		return;
	}
	EXPECT(0, uffd_register(uffd, p, 2 * mem->page, mode, &ioctls));
	name_bits(bits, sizeof(bits), ioctls);
	NOTE("%s", bits);
	CHECK((ioctls & want) == want, "mode 0x%llx: %s: without 0x%llx",
	      (unsigned long long)mode, bits,
	      (unsigned long long)(want & ~ioctls));
	EXPECT(0, uffd_poison(uffd, p, mem->page));
	CHECK(poisoned(p) && poisoned(p + mem->page - 1), "it can be read");
	EXPECT(0, uffd_unregister(uffd, p, 2 * mem->page));
}

static void all_modes(const struct memory *mem)
{
	/* The last one is the note: the mode that Ferry registers RAM with */
	static const uint64_t modes[] = {
		WP, MINOR, MISSING | WP, MISSING | MINOR, MISSING | WP | MINOR,
		WP | MINOR, MISSING,
	};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		one_mode(mem, modes[i]);
}

#define CASE(memory)							\
	static void memory ## _case(struct mapping *m)			\
	{								\
		(void)m;						\
		all_modes(&memory);					\
	}
CASE(anon)
CASE(shared)
CASE(memfd)
CASE(private)
CASE(huge)
CASE(huge_memfd)

static const struct kcase cases[] = {
	{ "anon", "anonymous memory: POISON in modes missing and wp; minor is "
	  "EINVAL", anon_case, ON_NONE },
	{ "shared", "shared anonymous memory: POISON in all modes",
	  shared_case, ON_NONE },
	{ "memfd", "memfd: POISON in all modes", memfd_case, ON_NONE },
	{ "private", "memfd mapped private: POISON in all modes",
	  private_case, ON_NONE },
	{ "huge", "2 MiB huge pages: POISON in all modes", huge_case,
	  ON_NONE },
	{ "huge-memfd", "memfd of 2 MiB huge pages: the same", huge_memfd_case,
	  ON_NONE },
};

KTEST_MAIN(cases)
