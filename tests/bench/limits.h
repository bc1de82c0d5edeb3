/* SPDX-License-Identifier: MIT */
/*
 * limits.h - What this machine allows at best, measured without Ferry
 *
 * Each command of bench-limits makes one measurement and prints its figures.
 * limits.py starts them, places them on CPUs, connects them by sockets, and
 * computes the statistics.
 *
 * Exit status: 0; UNAVAILABLE when the kernel or machine lacks what is to be
 * measured, with the reason on standard error; 1 when the measurement failed.
 */
#ifndef TESTS_BENCH_LIMITS_H
#define TESTS_BENCH_LIMITS_H

#include <err.h>

#include "tests/kernel/ktest.h"
#include "vmm/base/clock.h"

#define CHUNK		(256UL << 10)	/* size of one bulk read or copy */
#define UNAVAILABLE	77

/* limits.c. These end the program on failure */

/** stream_write() - Write a whole buffer to a socket */
void stream_write(int fd, const void *buf, size_t len);

/** mem_map() - Zeroed anonymous memory, all its 4 KiB pages present */
void *mem_map(size_t size);

/**
 * mem_warm() - Make sure that the kernel has @size bytes of free pages at hand
 *
 * In a virtual machine whose host reclaims free memory, the first access to
 * such a page costs an exit, five times what is measured here. The kernel
 * hands out first what was freed last.
 */
void mem_warm(size_t size);

/* arena.c: userfaultfd */

/**
 * struct arena - A range without pages, registered with a userfaultfd
 * @mem:	its address
 * @size:	bytes
 * @uffd:	userfaultfd
 * @memfd:	the file, or -1 for anonymous memory
 * @op:		operation that fills it: index in arena.c's table
 */
struct arena {
	char *mem;
	size_t size;
	int uffd, memfd, op;
};

/**
 * arena_open() - Map and register an empty range; ends the program on failure
 * @a:		filled in
 * @backing:	"anon" or "memfd"
 * @op:		operation that fills it: "copy", "zeropage", "poison" or
 *		"continue", UFFDIO_... of that name
 * @size:	bytes, a multiple of PAGE
 */
void arena_open(struct arena *a, const char *backing, const char *op,
		size_t size);

/**
 * arena_place() - Fill pages by one operation
 * @a:		arena
 * @off:	offset of the first page
 * @src:	contents, for "copy"
 * @len:	bytes, a multiple of PAGE
 *
 * Return: bytes done, more than 0 but possibly fewer than @len, or -errno:
 * -EEXIST when the first page is present
 */
int64_t arena_place(struct arena *a, size_t off, const void *src, size_t len);

/** arena_close() - Release everything */
void arena_close(struct arena *a);

/* vcpu.c */

/**
 * vcpu_create() - Make the vCPU, ready to read one word of each page of a range
 * @region:	the range, which may have no pages yet
 * @pages:	its pages
 * @order:	page numbers in the order of access
 * @irqs:	with an in-kernel interrupt controller, and interrupts on
 *
 * Ends the program when there is no KVM.
 */
void vcpu_create(void *region, size_t pages, const uint32_t *order, bool irqs);

/** vcpu_touch() - Run it until it is done; @us: duration of each access, us */
void vcpu_touch(double *us, size_t pages);

/* chain.c: commands; argv[0] is the command's name */

/** chain_serve() - serve FD PAGES: answer requests for pages */
void chain_serve(char **argv);

/**
 * chain_touch() - touch FD PAGES thread|vcpu|vcpu_irqs CPU CPU: read each page of
 * an empty range; prints the duration of each access in us. The CPUs are those
 * of toucher and handler, -1 for any
 */
void chain_touch(char **argv);

#endif /* TESTS_BENCH_LIMITS_H */
