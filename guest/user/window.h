/* SPDX-License-Identifier: MIT */
/*
 * window.h - Ring 3's mapping of RAM, and fresh pages
 */
#ifndef GUEST_USER_WINDOW_H
#define GUEST_USER_WINDOW_H

#include "../cpu.h"

struct fresh_page {
	uint64_t gpa;
	uint64_t *va;
};

/**
 * window_init() - Map all RAM from AREA_GPA up
 *
 * Return: 0, -1 when the pool has too few pages for the page tables
 */
int window_init(void);

/**
 * window_va() - Where ring 3 accesses a page
 * @page:	number
 */
uint64_t *window_va(uint64_t page);

/**
 * pool_take() - Take a fresh page
 * @p:		its addresses; its contents are undefined
 *
 * Return: false when the pool is empty
 */
bool pool_take(struct fresh_page *p);

/**
 * window_replace() - Map a fresh page in place of another page
 * @page:	number of the page to replace
 * @gpa:	page from the pool
 *
 * Calls must not overlap (visit.c: retire_lock).
 *
 * Return: 0, -1 when the pool is empty
 */
int window_replace(uint64_t page, uint64_t gpa);

/**
 * window_sync() - Drop translations that window_replace() made invalid
 * @c:		this vCPU
 */
void window_sync(struct cpu *c);

#endif
