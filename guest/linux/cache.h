/* SPDX-License-Identifier: MIT */
/*
 * cache.h - Pages that the kernel itself reads
 */
#ifndef GUEST_LINUX_CACHE_H
#define GUEST_LINUX_CACHE_H

#include <stdint.h>

/** cache_start() - Map pages of a file in memory, print the address of each */
void cache_start(void);

/**
 * cache_read() - Have the kernel read one of them, by pread()
 * @n:		number of the page
 *
 * The kernel copies from a page of its page cache: it panics when that page is
 * lost.
 */
void cache_read(uint64_t n);

#endif
