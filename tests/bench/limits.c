// SPDX-License-Identifier: MIT
/*
 * limits.c - Limits of this machine: streams, pages, memory
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "limits.h"

#define BATCH		(512 * PAGE)
#define FILLING		0x5a

void stream_write(int fd, const void *buf, size_t len)
{
	while (len) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

		if (n < 0)
			err(1, "send");
		buf = (const char *)buf + n;
		len -= n;
	}
}

void *mem_map(size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		err(1, "no memory for %zu bytes", size);
	/* A huge page would hide the cost per page */
	madvise(mem, size, MADV_NOHUGEPAGE);
	memset(mem, 0, size);
	return mem;
}

void mem_warm(size_t size)
{
	munmap(mem_map(size), size);
}

/* send FD BYTES: send them once a byte has arrived */
static void stream_send(char **argv)
{
	int fd = atoi(argv[1]);
	size_t total = strtoull(argv[2], NULL, 0);
	char *buf = memset(mem_map(CHUNK), FILLING, CHUNK), go;

	if (recv(fd, &go, 1, 0) != 1)
		errx(1, "the receiver closed the connection");
	for (; total; total -= CHUNK)
		stream_write(fd, buf, CHUNK);
}

static void stream_discard(int sock, char *buf, size_t total)
{
	while (total) {
		ssize_t n = recv(sock, buf, CHUNK, 0);

		if (n <= 0)
			errx(1, "the sender closed the connection");
		total -= n;
	}
}

static void stream_place(int sock, char *buf, struct arena *a)
{
	for (size_t off = 0; off < a->size; off += CHUNK) {
		int64_t n;

		if (recv(sock, buf, CHUNK, MSG_WAITALL) != (ssize_t)CHUNK)
			errx(1, "the sender closed the connection");
		for (size_t in = 0; in < CHUNK; in += n) {
			n = arena_place(a, off + in, buf + in, CHUNK - in);
			if (n <= 0)
				errx(1, "UFFDIO_COPY: %s", strerror(-n));
		}
	}
}

/*
 * receive FD BYTES discard|anon|memfd: start the sender, read all, and place it
 * as pages of that kind. Prints 10^9 bytes a second
 */
static void stream_receive(char **argv)
{
	int fd = atoi(argv[1]);
	size_t total = strtoull(argv[2], NULL, 0);
	bool discard = !strcmp(argv[3], "discard");
	char *buf = mem_map(CHUNK);
	struct arena a = {};
	uint64_t t0;

	if (!discard) {
		arena_open(&a, argv[3], "copy", total);
		mem_warm(total);
	}
	t0 = now_ns();
	stream_write(fd, "", 1);
	if (discard)
		stream_discard(fd, buf, total);
	else
		stream_place(fd, buf, &a);
	printf("%.6f\n", (double)total / (now_ns() - t0));
	if (!discard && (a.mem[0] != FILLING || a.mem[total - 1] != FILLING))
		errx(1, "the pages placed are not those sent");
}

/* UFFDIO_CONTINUE needs the file's pages: write them by a second mapping */
static void arena_fill_file(struct arena *a)
{
	void *alias = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   a->memfd, 0);

	if (alias == MAP_FAILED)
		err(1, "second mapping of a memfd");
	memset(alias, FILLING, a->size);
	munmap(alias, a->size);
}

/* Fill an arena @step bytes at a time. Return: ns per page */
static double placing_run(char **argv, const char *src, size_t size,
			  size_t step)
{
	struct arena a;
	uint64_t t0;
	int64_t n;

	arena_open(&a, argv[2], argv[1], size);
	if (!strcmp(argv[1], "continue"))
		arena_fill_file(&a);
	t0 = now_ns();
	for (size_t off = 0; off < size; off += n) {
		size_t in = off % BATCH;

		n = arena_place(&a, off, src + in,
				step < BATCH - in ? step : BATCH - in);
		if (n <= 0)
			errx(1, "%s: %s", argv[1], strerror(-n));
	}
	t0 = now_ns() - t0;
	arena_close(&a);
	return (double)t0 / (size / PAGE);
}

/* place OP BACKING BYTES: prints ns per page, one page and 512 at a time */
static void bench_place(char **argv)
{
	char *src = memset(mem_map(BATCH), FILLING, BATCH);
	size_t size = strtoull(argv[3], NULL, 0);

	mem_warm(2 * size);
	placing_run(argv, src, size, PAGE);	/* cold */
	printf("%.3f ", placing_run(argv, src, size, PAGE));
	printf("%.3f\n", placing_run(argv, src, size, BATCH));
}

static void step_memcpy(char *dst, char *src)
{
	memcpy(dst, src, CHUNK);
	/* The compiler must not drop a copy that is never read */
	__asm__ volatile("" : : "r"(dst) : "memory");
}

static void step_readv(char *dst, char *src)
{
	struct iovec to = { dst, CHUNK }, from = { src, CHUNK };

	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != (ssize_t)CHUNK)
		err(1, "process_vm_readv");
}

/* A page at a time, as a search for zero pages does it */
static void step_zero_scan(char *dst, char *src)
{
	static const char zero_page[PAGE] __attribute__((aligned(64)));

	(void)dst;
	for (size_t off = 0; off < CHUNK; off += PAGE)
		if (memcmp(src + off, zero_page, PAGE))
			errx(1, "a page of zeroes is not zero");
}

/* memory BYTES: prints ns per page for each way to read memory */
static void bench_memory(char **argv)
{
	static void (*const steps[])(char *dst, char *src) = {
		step_readv, step_memcpy, step_zero_scan,
	};
	size_t size = strtoull(argv[1], NULL, 0);
	char *src = mem_map(size), *dst = mem_map(CHUNK);

	for (size_t i = 0; i < 2 * ARRAY_SIZE(steps); i++) {
		uint64_t t0 = now_ns();

		for (size_t off = 0; off < size; off += CHUNK)
			steps[i / 2](dst, src + off);
		if (i % 2)			/* the first time is cold */
			printf("%.3f ", (double)(now_ns() - t0) /
					(size / PAGE));
	}
}

/* List the pages that are present, whose total must be @expected bytes */
static double scan_run(char *mem, size_t size, uint64_t expected)
{
	struct page_region found[64];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = (uintptr_t)mem, .end = (uintptr_t)mem + size,
		.vec = (uintptr_t)found, .vec_len = ARRAY_SIZE(found),
		.category_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT,
	};
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), n;
	uint64_t bytes = 0, t0 = now_ns();

	for (; arg.start < arg.end; arg.start = arg.walk_end) {
		n = ioctl(pagemap, PAGEMAP_SCAN, &arg);
		if (n < 0)			/* before Linux 6.7 */
			err(errno == ENOTTY ? UNAVAILABLE : 1, "PAGEMAP_SCAN");
		for (int i = 0; i < n; i++)
			bytes += found[i].end - found[i].start;
	}
	t0 = now_ns() - t0;
	close(pagemap);
	if (bytes != expected)
		errx(1, "PAGEMAP_SCAN found %lu bytes, not %lu", bytes,
		     expected);
	return t0 / 1000.0;
}

/* scan BYTES: prints us for a range with all pages, and with none */
static void bench_scan(char **argv)
{
	size_t size = strtoull(argv[1], NULL, 0);
	char *mem = mem_map(size);

	scan_run(mem, size, size);		/* cold */
	printf("%.3f ", scan_run(mem, size, size));
	if (madvise(mem, size, MADV_DONTNEED))
		err(1, "MADV_DONTNEED");
	printf("%.3f\n", scan_run(mem, size, 0));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		void (*run)(char **argv);
	} commands[] = {
		{ "send", 2, stream_send }, { "receive", 3, stream_receive },
		{ "place", 3, bench_place }, { "memory", 1, bench_memory },
		{ "scan", 1, bench_scan }, { "serve", 2, chain_serve },
		{ "touch", 5, chain_touch },
	};

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (argc == commands[i].args + 2 &&
		    !strcmp(argv[1], commands[i].name)) {
			commands[i].run(argv + 1);
			return fflush(stdout) ? 1 : 0;
		}
	errx(2, "tests/bench/limits.py starts this program");
}
