/* SPDX-License-Identifier: MIT */
/* fake_ram_private.h - What fake_ram.c and fake_uffd.c share */
#ifndef FERRY_TESTS_FAKE_RAM_PRIVATE_H
#define FERRY_TESTS_FAKE_RAM_PRIVATE_H

#include <pthread.h>

#include "fake_machine.h"
#include "fake_ram.h"

#define FAKE_RAMS	4

/* An access that waits for a page; on the stack of its thread */
struct fake_waiter {
	struct fake_waiter *next;
	size_t page;
	pid_t tid;
	bool was_read, woken;
};

/**
 * struct fake_ram - What the kernel knows about a mapping
 * @ram:	the RAM; NULL: this entry is free
 * @lock, @changed: protect and announce the rest
 * @page:	enum fake_page, one for each
 * @registered:	one for each page: reports missing pages to @uffd
 * @uffd:	an eventfd that counts, or -1
 * @waiters:	accesses that wait
 * @leaving:	the RAM is freed when the last of them has left
 */
struct fake_ram {
	struct ram *ram;
	uint8_t *base;
	size_t n;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint8_t *page;
	bool *registered;
	int uffd;
	struct fake_waiter *waiters;
};

/** fake_ram_find() - The entry of a RAM; NULL if there is none */
struct fake_ram *fake_ram_find(const struct ram *ram);

/** fake_ram_at() - The entry whose mapping contains an address, or NULL */
struct fake_ram *fake_ram_at(const void *addr);

/** fake_ram_of_uffd() - The entry that a userfaultfd has registered, or NULL */
struct fake_ram *fake_ram_of_uffd(int fd);

/** fake_ram_wake() - Have waiting accesses go on; the lock is held */
void fake_ram_wake(struct fake_ram *f, size_t page, size_t n);

/** fake_ram_unregister() - Forget a registration; the lock is held */
void fake_ram_unregister(struct fake_ram *f, size_t page, size_t n);

#endif /* FERRY_TESTS_FAKE_RAM_PRIVATE_H */
