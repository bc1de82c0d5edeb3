// SPDX-License-Identifier: MIT
/*
 * move.c - UFFDIO_MOVE: a huge page goes into a registered range as it is
 *
 * Ferry receives 2 MiB into a transparent huge page and moves them into guest
 * RAM, where huge pages are forbidden while pages are missing
 * (migration/pages/place_small.c:small_block()). It relies on what is there not
 * being replaced, poison least of all (invariants 1 and 2).
 */
#include <fcntl.h>

#include "ktest.h"

#define HUGE		(2UL << 20)
#define PAGES		(HUGE / PAGE)

/* An aligned mapping of one huge page's size, never touched */
static unsigned char *map_aligned(void)
{
	unsigned char *at = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(at != MAP_FAILED, "mmap: %m");
	return at + HUGE - (uintptr_t)at % HUGE;
}

static bool is_huge(const unsigned char *at)
{
	struct page_region r = { 0 };
	struct pm_scan_arg a = {
		.size = sizeof(a), .start = (uintptr_t)at,
		.end = (uintptr_t)at + HUGE, .vec = (uintptr_t)&r,
		.vec_len = 1, .category_mask = PAGE_IS_HUGE,
		.return_mask = PAGE_IS_HUGE,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), n;

	CHECK(fd >= 0, "/proc/self/pagemap: %m");
	n = ioctl(fd, PAGEMAP_SCAN, &a);
	if (n < 0 && (errno == ENOTTY || errno == EINVAL))
		SKIP("no PAGEMAP_SCAN: needs Linux 6.7");
	CHECK(n >= 0, "PAGEMAP_SCAN: %m");
	close(fd);
	return n == 1 && r.end - r.start == HUGE;
}

/* A huge page whose pages begin with their number, from 1 */
static unsigned char *source(void)
{
	unsigned char *src = map_aligned();

	madvise(src, HUGE, MADV_HUGEPAGE);
	for (size_t i = 0; i < PAGES; i++)
		src[i * PAGE] = (unsigned char)(1 + i % 255);
	if (!is_huge(src))
		SKIP("no transparent huge page can be had here");
	return src;
}

static int uffd_for_move(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_POISON | UFFD_FEATURE_MOVE,
	};
	int fd = uffd_new(O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		SKIP("no userfaultfd (%s): run as root, or allow it with "
		     "vm.unprivileged_userfaultfd=1", strerror(-fd));
	if (ioctl(fd, UFFDIO_API, &api))
		SKIP("UFFDIO_API: %m (UFFDIO_MOVE needs Linux 6.8)");
	return fd;
}

static unsigned char *destination(int uffd)
{
	unsigned char *dst = map_aligned();

	madvise(dst, HUGE, MADV_NOHUGEPAGE);
	EXPECT(0, uffd_register(uffd, dst, HUGE,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	return dst;
}

/* As Ferry calls it: on after a part. Return: 0, -errno; @done: bytes */
static int move(int uffd, unsigned char *dst, unsigned char *src,
		size_t *done)
{
	*done = 0;
	while (*done < HUGE) {
		struct uffdio_move m = {
			.dst = (uintptr_t)dst + *done,
			.src = (uintptr_t)src + *done, .len = HUGE - *done,
		};
		int rc = ioctl(uffd, UFFDIO_MOVE, &m) ? -errno : 0;

		*done += m.move > 0 ? (size_t)m.move : 0;
		if (rc && (rc != -EAGAIN || m.move <= 0))
			return rc;
	}
	return 0;
}

static void check_pages(const unsigned char *dst, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		CHECK(dst[i * PAGE] == 1 + i % 255, "page %zu: byte 0x%x", i,
		      dst[i * PAGE]);
}

static void moves_as_one(struct mapping *none)
{
	unsigned char *src = source(), *dst;
	int uffd = uffd_for_move();
	unsigned char there[PAGES];
	size_t done;

	(void)none;
	dst = destination(uffd);
	EXPECT(0, move(uffd, dst, src, &done));
	CHECK(is_huge(dst), "small pages arrived");
	check_pages(dst, 0, PAGES);
	CHECK(!mincore(src, HUGE, there), "mincore: %m");
	for (size_t i = 0; i < PAGES; i++)
		CHECK(!(there[i] & 1), "page %zu stayed at the source", i);
}

static void wakes(struct mapping *none)
{
	unsigned char *src = source(), *dst;
	int uffd = uffd_for_move();
	struct uffd_msg msg;
	struct toucher t;
	size_t done;

	(void)none;
	dst = destination(uffd);
	toucher_start(&t, dst + 7 * PAGE);
	uffd_wait_fault(uffd, &msg);
	EXPECT(0, move(uffd, dst, src, &done));
	CHECK(toucher_join(&t).value == 8, "the thread read something else");
	check_pages(dst, 0, PAGES);
	NOTE("%s", is_huge(dst) ? "as a huge page" : "as small pages");
}

static void stops_at_a_page(struct mapping *none)
{
	unsigned char *src = source(), *dst;
	int uffd = uffd_for_move();
	size_t done;

	(void)none;
	dst = destination(uffd);
	EXPECT(0, uffd_copy(uffd, dst + 100 * PAGE, 0xee));
	EXPECT(-EEXIST, move(uffd, dst, src, &done));
	CHECK(done == 100 * PAGE, "%zu bytes were moved", done);
	check_pages(dst, 0, 100);
	CHECK(dst[100 * PAGE] == 0xee, "the page was replaced");
	/* The rest is where it was */
	check_pages(src, 100, PAGES);
}

static void stops_at_poison(struct mapping *none)
{
	unsigned char *src = source(), *dst;
	int uffd = uffd_for_move();
	size_t done;

	(void)none;
	dst = destination(uffd);
	EXPECT(0, uffd_poison(uffd, dst + 100 * PAGE, PAGE));
	EXPECT(-EEXIST, move(uffd, dst, src, &done));
	CHECK(done == 100 * PAGE, "%zu bytes were moved", done);
	CHECK(poisoned(dst + 100 * PAGE), "the poison is gone");
	check_pages(src, 100, PAGES);
}

static const struct kcase cases[] = {
	{ "huge", "UFFDIO_MOVE of a huge page moves it as one, also where huge "
	  "pages are forbidden", moves_as_one, ON_NONE },
	{ "wakes", "UFFDIO_MOVE wakes the threads that wait for a page of it",
	  wakes, ON_NONE },
	{ "present", "UFFDIO_MOVE stops at a page that is there: EEXIST",
	  stops_at_a_page, ON_NONE },
	{ "poison", "UFFDIO_MOVE stops at a poison marker: EEXIST",
	  stops_at_poison, ON_NONE },
};

KTEST_MAIN(cases)
