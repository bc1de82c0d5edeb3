/* SPDX-License-Identifier: MIT */
/*
 * staging.h - Huge pages that are partially received, and their buffers
 *
 * place_huge.c has the theory of operation. Several threads use a huge page at
 * the same time; all members are atomic.
 */
#ifndef FERRY_STAGING_H
#define FERRY_STAGING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/memory/ram_huge.h"

#define STAGING_WORDS	(HUGE_PAGES / 64)
#define STAGING_SPARES	4	/* buffers kept for reuse: their memory is warm */

/**
 * struct huge_page - A huge page that is being received; zeroed at the start
 * @data:	buffer of its contents, or NULL
 * @in:		pages staged
 * @lost:	of these, pages that are lost
 * @delivered:	of these, pages for which the guest got a machine check
 * @users:	threads that may use @data
 * @used:	something was staged, or a vCPU waits
 * @placing:	a thread places it
 * @joined:	the fault thread does, too
 * @placed:	it is in RAM; the thread that sets it settles the pages
 */
struct huge_page {
	_Atomic(uint8_t *) data;
	_Atomic uint64_t in[STAGING_WORDS], lost[STAGING_WORDS],
		delivered[STAGING_WORDS];
	_Atomic unsigned users;
	_Atomic bool used, placing, joined, placed;
};

/**
 * struct staging - All of them
 * @page:	one for each huge page of RAM
 * @n:		how many
 * @spare:	buffers without a user, or NULL
 */
struct staging {
	struct huge_page *page;
	size_t n;
	_Atomic(uint8_t *) spare[STAGING_SPARES];
};

/** staging_test() - Is the bit of small page @k set? */
static inline bool staging_test(const _Atomic uint64_t *bits, size_t k)
{
	return bits[k / 64] >> k % 64 & 1;
}

/** staging_set() - Set it. Return: whether it was set before */
static inline bool staging_set(_Atomic uint64_t *bits, size_t k)
{
	const uint64_t bit = 1ull << k % 64;

	return atomic_fetch_or(&bits[k / 64], bit) & bit;
}

/** staging_new() - For @n huge pages, of which nothing was received, or NULL */
struct staging *staging_new(size_t n);

/** staging_free() - Free it and all buffers; NULL is fine */
void staging_free(struct staging *st);

/**
 * staging_enter() - Use the huge page that contains a small one
 * @st:		all
 * @page:	the small page
 *
 * To be called before a page is claimed: the buffer stays until staging_leave().
 */
struct huge_page *staging_enter(struct staging *st, size_t page);

/** staging_leave() - The last user of one that is in RAM gives up the buffer */
void staging_leave(struct staging *st, struct huge_page *h);

/**
 * staging_buffer() - The buffer of a huge page
 * @st:		all
 * @h:		the huge page, of which the caller is a user
 *
 * Return: it; NULL if memory ran out
 */
uint8_t *staging_buffer(struct staging *st, struct huge_page *h);

/** staging_get_buffer() - A buffer for the caller alone, or NULL */
uint8_t *staging_get_buffer(struct staging *st);

/** staging_put_buffer() - Keep a buffer that has no user, or free it */
void staging_put_buffer(struct staging *st, uint8_t *p);

/**
 * staging_store() - Copy a small page into a buffer
 * @data:	the buffer
 * @k:		index of the small page
 * @from:	its contents
 *
 * By atomic stores: two threads may store the same bytes at the same time.
 */
void staging_store(uint8_t *data, size_t k, const uint8_t *from);

#endif /* FERRY_STAGING_H */
