// SPDX-License-Identifier: MIT
/*
 * bench-limits: what one page costs in the kernel, and in memory bandwidth
 *
 * Every figure is taken over an arena of some ten MiB which is emptied
 * between runs. Its first, cold run is thrown away.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench-limits.h"

#ifndef UFFD_FEATURE_POISON		/* Linux 6.6 */
#define UFFD_FEATURE_POISON	(1 << 14)
#endif

#ifndef PAGEMAP_SCAN			/* Linux 6.7 */
#define PAGE_IS_PRESENT		(1 << 3)
struct page_region {
	__u64 start, end, categories;
};
struct pm_scan_arg {
	__u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	__u64 category_inverted, category_mask, category_anyof_mask;
	__u64 return_mask;
};
#define PAGEMAP_SCAN		_IOWR('f', 16, struct pm_scan_arg)
#endif

/*
 * The operations. With @prefill the file's pages are there before the clock
 * starts, and only the mapping is emptied between runs.
 */
static const struct placing {
	const char *name;
	enum backing backing;
	uint64_t features, mode;
	bool prefill;
	int64_t (*place)(int uffd, void *dst, const void *src, size_t len);
} placings[] = {
	{ "copy_anon", BACK_ANON, 0,
	  UFFDIO_REGISTER_MODE_MISSING, false, uffd_copy },
	{ "copy_memfd", BACK_MEMFD, UFFD_FEATURE_MISSING_SHMEM,
	  UFFDIO_REGISTER_MODE_MISSING, false, uffd_copy },
	{ "zeropage_anon", BACK_ANON, 0,
	  UFFDIO_REGISTER_MODE_MISSING, false, uffd_zeropage },
	{ "zeropage_memfd", BACK_MEMFD, UFFD_FEATURE_MISSING_SHMEM,
	  UFFDIO_REGISTER_MODE_MISSING, false, uffd_zeropage },
	{ "poison_anon", BACK_ANON, UFFD_FEATURE_POISON,
	  UFFDIO_REGISTER_MODE_MISSING, false, uffd_poison },
	{ "continue_memfd", BACK_MEMFD, UFFD_FEATURE_MINOR_SHMEM,
	  UFFDIO_REGISTER_MODE_MINOR, true, uffd_continue },
};

/* The file's pages come in through a second mapping, as Ferry's would */
static void prefill(struct arena *a)
{
	void *alias = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   a->memfd, 0);

	if (alias == MAP_FAILED)
		die("second mapping of a memfd: %s", strerror(errno));
	memset(alias, 0x5a, a->size);
	munmap(alias, a->size);
}

/* Return: ns per page, filling the arena @step bytes at a time */
static double placing_run(const struct placing *p, struct arena *a,
			  const char *src, size_t step)
{
	uint64_t t0;
	size_t off;
	int64_t n;

	progress();
	if (!p->prefill)
		arena_empty(a);
	else if (madvise(a->mem, a->size, MADV_DONTNEED))
		die("MADV_DONTNEED: %s", strerror(errno));

	t0 = now_ns();
	for (off = 0; off < a->size; off += n) {
		size_t in = off % BATCH;
		size_t len = step < BATCH - in ? step : BATCH - in;

		n = p->place(a->uffd, a->mem + off, src + in, len);
		if (n <= 0)
			die("%s: %s", p->name, strerror(-n));
	}
	return (double)(now_ns() - t0) / (a->size / PAGE);
}

static void bench_placing(const struct bench *b, const struct placing *p,
			  size_t size)
{
	struct spread alone = {}, batched = {};
	char *src = map_filled(BATCH);
	struct arena a;
	int run, rc;

	rc = arena_open(&a, p->backing, size, p->features, p->mode);
	if (rc) {
		json_unavailable(p->name, "the kernel does not offer it");
		munmap(src, BATCH);
		return;
	}
	memset(src, 0x5a, BATCH);
	if (p->prefill)
		prefill(&a);
	placing_run(p, &a, src, PAGE);
	for (run = 0; run < b->runs; run++) {
		spread_add(&alone, placing_run(p, &a, src, PAGE));
		spread_add(&batched, placing_run(p, &a, src, BATCH));
	}
	arena_close(&a);
	munmap(src, BATCH);
	json_open(p->name);
	json_spread("alone", &alone);
	json_spread("batch_512", &batched);
	json_close();
}

static void step_memcpy(char *dst, char *src)
{
	memcpy(dst, src, CHUNK);
	/* Keep the compiler from dropping a copy that nobody reads */
	__asm__ volatile("" : : "r"(dst) : "memory");
}

static void step_readv(char *dst, char *src)
{
	struct iovec to = { dst, CHUNK }, from = { src, CHUNK };

	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != (ssize_t)CHUNK)
		die("process_vm_readv: %s", strerror(errno));
}

/* A page at a time, as somebody does who looks for zero pages */
static void step_zero_scan(char *dst, char *src)
{
	static const char zero_page[PAGE] __attribute__((aligned(64)));
	size_t off;

	(void)dst;
	for (off = 0; off < CHUNK; off += PAGE)
		if (memcmp(src + off, zero_page, PAGE))
			die("a page that was never written is not zero");
}

static double memory_run(void (*step)(char *, char *), char *dst, char *src,
			 size_t size)
{
	uint64_t t0 = now_ns();
	size_t off;

	for (off = 0; off < size; off += CHUNK)
		step(dst, src + off);
	return (double)(now_ns() - t0) / (size / PAGE);
}

static void bench_memory(const struct bench *b, size_t size)
{
	static const struct {
		const char *name;
		void (*step)(char *dst, char *src);
	} steps[] = {
		{ "process_vm_readv_256k", step_readv },
		{ "memcpy_256k", step_memcpy },
		{ "zero_scan", step_zero_scan },
	};
	char *src = map_filled(size), *dst = map_filled(CHUNK);
	size_t i;
	int run;

	json_open("memory_ns");
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct spread s = {};

		memory_run(steps[i].step, dst, src, size);
		for (run = 0; run < b->runs; run++)
			spread_add(&s, memory_run(steps[i].step, dst, src,
						  size));
		json_spread(steps[i].name, &s);
	}
	json_close();
	munmap(src, size);
	munmap(dst, CHUNK);
}

/*
 * Find the pages that are there, and see to it that they were all found.
 * Return: microseconds for the whole range, or -ENOTTY before Linux 6.7
 */
static double scan_run(int pagemap, char *mem, size_t size, uint64_t expected)
{
	struct page_region found[64];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = (uintptr_t)mem,
		.end = (uintptr_t)mem + size,
		.vec = (uintptr_t)found,
		.vec_len = 64,
		.category_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT,
	};
	uint64_t bytes = 0, t0 = now_ns();

	while (arg.start < arg.end) {
		int i, n = ioctl(pagemap, PAGEMAP_SCAN, &arg);

		if (n < 0)
			return -errno;
		for (i = 0; i < n; i++)
			bytes += found[i].end - found[i].start;
		arg.start = arg.walk_end;
	}
	t0 = now_ns() - t0;
	if (bytes != expected)
		die("PAGEMAP_SCAN found %lu bytes, not %lu", bytes, expected);
	return t0 / 1000.0;
}

static void bench_scan_of(const struct bench *b, const char *name,
			  char *mem, size_t size, uint64_t expected)
{
	int run, pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct spread s = {};

	if (pagemap < 0)
		die("/proc/self/pagemap: %s", strerror(errno));
	for (run = 0; run <= b->runs; run++) {
		double us = scan_run(pagemap, mem, size, expected);

		if (us < 0) {
			json_unavailable(name, strerror(-(int)us));
			close(pagemap);
			return;
		}
		if (run)	/* the first one is cold */
			spread_add(&s, us);
	}
	close(pagemap);
	json_spread(name, &s);
}

static void bench_scan(const struct bench *b, size_t size)
{
	char *mem = map_filled(size);

	json_open("pagemap_scan_us");
	json_number("bytes", size);
	bench_scan_of(b, "populated", mem, size, size);
	if (madvise(mem, size, MADV_DONTNEED))
		die("MADV_DONTNEED: %s", strerror(errno));
	bench_scan_of(b, "unpopulated", mem, size, 0);
	json_close();
	munmap(mem, size);
}

/**
 * bench_ioctls() - What one page costs
 * @b:		What is asked for
 *
 * Adds "ioctl_ns" (userfaultfd operations, each {"alone", "batch_512"}) and
 * "memory_ns" (copying and reading memory), both in ns per 4 KiB page, and
 * "pagemap_scan_us" for the whole range of "bytes".
 */
void bench_ioctls(const struct bench *b)
{
	size_t i, size = (b->quick ? 16 : 64) * MIB;

	section("userfaultfd operations, ns per 4 KiB page");
	warm_pages(2 * size);
	json_open("ioctl_ns");
	for (i = 0; i < sizeof(placings) / sizeof(placings[0]); i++)
		bench_placing(b, &placings[i], size);
	json_close();

	section("memory, ns per 4 KiB page");
	bench_memory(b, size);

	section("PAGEMAP_SCAN, us for the whole range");
	bench_scan(b, (b->quick ? 256 : 1024) * MIB);
}
