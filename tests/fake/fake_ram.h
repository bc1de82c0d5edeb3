/* SPDX-License-Identifier: MIT */
/*
 * fake_ram.h - Guest RAM and userfaultfd without the kernel's part
 *
 * fake_ram.c, fake_uffd.c and fake_huge_buffer.c replace the functions of
 * ram.h, ram_holes.h, ram_huge.h, huge_buffer.h and uffd.h that make system
 * calls, and madvise(). The program is linked with the options in
 * FAKE_RAM_WRAP (tests/fake/Makefile.inc). The state
 * that the kernel keeps for each page is an array here, and follows the rules
 * that tests/kernel/ proves; what the kernel permits and Ferry must not do
 * (UFFDIO_COPY over a marker) is reported to fake_host.fault().
 *
 * RAM is memory that malloc() gave. It may be smaller than ram_create() allows,
 * and what a missing page holds there is of no account. Threads that wait for a
 * page wait on a condition, so that a test which replaces pthreads by
 * coroutines controls them.
 */
#ifndef FERRY_TESTS_FAKE_RAM_H
#define FERRY_TESTS_FAKE_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/memory/ram.h"

enum fake_page {
	FAKE_MISSING,	/* nothing is mapped: zeroes, or a userfault */
	FAKE_PRESENT,
	FAKE_LOST,	/* a marker of UFFDIO_POISON, or lost for real */
	FAKE_WALLED	/* ram_wall() */
};

/**
 * fake_access_fn - Use the contents of a page that can be accessed
 * @ctx:	the caller's
 * @page:	GUEST_PAGE_SIZE bytes; of a missing page that is only read, zeroes
 *
 * Called with the RAM's lock held: must not wait.
 */
typedef void fake_access_fn(void *ctx, uint8_t *page);

/**
 * struct fake_access - An access to a page
 * @page:	number, by offset in RAM
 * @write:	the page is modified
 * @tid:	thread that the userfaultfd names; 0 if it names none
 * @fn, @ctx:	uses the contents
 */
struct fake_access {
	size_t page;
	bool write;
	pid_t tid;
	fake_access_fn *fn;
	void *ctx;
};

/**
 * fake_ram_access() - Access a page as a processor does
 * @ram:	the RAM
 * @a:		the access
 *
 * Waits for a page that is missing from a registered range.
 *
 * Return: 0, -EHWPOISON, -EFAULT (walled off)
 */
int fake_ram_access(struct ram *ram, const struct fake_access *a);

/** fake_ram_page() - The state of a page */
enum fake_page fake_ram_page(const struct ram *ram, size_t page);

/** fake_ram_registered() - Does a missing page raise a userfault? */
bool fake_ram_registered(const struct ram *ram, size_t page);

/** fake_ram_waits() - Number of accesses that wait for a page */
unsigned fake_ram_waits(const struct ram *ram);

/**
 * fake_ram_lose() - The hardware or an operator makes a page unreadable
 * @ram:	the RAM
 * @page:	number; of a huge page it becomes small pages, as inject.c does
 */
void fake_ram_lose(struct ram *ram, size_t page);

/** fake_ram_closed() - A userfaultfd was closed: as if it was unregistered */
void fake_ram_closed(int fd);

/** fake_ram_forget() - Free all RAM of a process that has crashed */
void fake_ram_forget(struct ram *ram);

/** fake_ram_forget_all() - The same for all, after a run that was given up */
void fake_ram_forget_all(void);

#endif /* FERRY_TESTS_FAKE_RAM_H */
