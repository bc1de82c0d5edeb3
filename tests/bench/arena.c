// SPDX-License-Identifier: MIT
/*
 * arena.c - A range without pages, and the four ways to fill it
 */
#include <fcntl.h>

#include "limits.h"

/* UFFDIO_ZEROPAGE, _POISON and _CONTINUE share one layout */
struct place_range {
	struct uffdio_range range;
	__u64 mode;
	__s64 done;
};

_Static_assert(sizeof(struct place_range) == sizeof(struct uffdio_zeropage) &&
	       sizeof(struct place_range) == sizeof(struct uffdio_poison) &&
	       sizeof(struct place_range) == sizeof(struct uffdio_continue),
	       "one layout");

static const struct {
	const char *name;
	unsigned long request;
	uint64_t features;
	uint64_t mode;
} place_ops[] = {
	{ "copy", UFFDIO_COPY, 0, UFFDIO_REGISTER_MODE_MISSING },
	{ "zeropage", UFFDIO_ZEROPAGE, 0, UFFDIO_REGISTER_MODE_MISSING },
	{ "poison", UFFDIO_POISON, UFFD_FEATURE_POISON,
	  UFFDIO_REGISTER_MODE_MISSING },
	{ "continue", UFFDIO_CONTINUE, UFFD_FEATURE_MINOR_SHMEM,
	  UFFDIO_REGISTER_MODE_MINOR },
};

static int place_op(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(place_ops); i++)
		if (!strcmp(name, place_ops[i].name))
			return i;
	errx(1, "there is no operation %s", name);
}

void arena_open(struct arena *a, const char *backing, const char *op,
		size_t size)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, i = place_op(op);
	struct uffdio_api api = {
		.api = UFFD_API, .features = place_ops[i].features,
	};

	*a = (struct arena){ NULL, size, uffd_new(O_CLOEXEC | O_NONBLOCK), -1,
			     i };
	if (a->uffd < 0)
		errx(1, "no userfaultfd (be root, or allow the user to open "
		     "/dev/userfaultfd)");
	if (!strcmp(backing, "memfd")) {
		a->memfd = memfd_create("bench-limits", MFD_CLOEXEC);
		if (a->memfd < 0 || ftruncate(a->memfd, size))
			err(1, "memfd of %zu bytes", size);
		flags = MAP_SHARED;
		api.features |= UFFD_FEATURE_MISSING_SHMEM;
	}
	a->mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      flags | MAP_NORESERVE, a->memfd, 0);
	if (a->mem == MAP_FAILED)
		err(1, "mmap of %zu bytes", size);
	madvise(a->mem, size, MADV_NOHUGEPAGE);
	if (ioctl(a->uffd, UFFDIO_API, &api) ||
	    uffd_register(a->uffd, a->mem, size, place_ops[i].mode, NULL))
		errx(UNAVAILABLE, "the kernel does not offer it");
}

int64_t arena_place(struct arena *a, size_t off, const void *src, size_t len)
{
	uintptr_t dst = (uintptr_t)a->mem + off;
	struct uffdio_copy copy = {
		.dst = dst, .src = (uintptr_t)src, .len = len,
	};
	struct place_range range = { .range = { dst, len } };
	bool is_copy = place_ops[a->op].request == UFFDIO_COPY;
	int rc = ioctl(a->uffd, place_ops[a->op].request,
		       is_copy ? (void *)&copy : &range);
	int64_t done = is_copy ? copy.copy : range.done;

	return !rc || (errno == EAGAIN && done > 0) ? done : -errno;
}

void arena_close(struct arena *a)
{
	munmap(a->mem, a->size);
	close(a->uffd);
	if (a->memfd >= 0)
		close(a->memfd);
}
