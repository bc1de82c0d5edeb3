/* SPDX-License-Identifier: MIT */
/*
 * page.h - What a page must hold, and where it is
 */
#ifndef GUEST_LINUX_PAGE_H
#define GUEST_LINUX_PAGE_H

#include <stdint.h>

#define PAGE_BYTES	4096u
#define PAGE_WORDS	(PAGE_BYTES / sizeof(uint64_t))

/**
 * page_write() - Fill a page
 * @page:	address
 * @gen:	its generation
 */
void page_write(uint64_t *page, uint64_t gen);

/**
 * page_check() - Check a page; report each wrong word, and correct the page
 * @page:	address
 * @gen:	its generation
 * @workload:	for the lines "bad work=…"
 *
 * Return: wrong words
 */
unsigned page_check(uint64_t *page, uint64_t gen, const char *workload);

/**
 * page_map() - Map memory that consists of 4 KiB pages
 * @at:		address, replacing the mapping there, or NULL for any
 * @pages:	how many
 *
 * Return: the address. Ends the guest when there is no memory
 */
void *page_map(void *at, uint64_t pages);

/**
 * page_gpa() - Guest-physical address of a page of this process
 * @page:	its virtual address
 *
 * From /proc/self/pagemap, whose PFN is the guest's page frame number.
 *
 * Return: the address, 0 when no page is mapped there
 */
uint64_t page_gpa(const void *page);

#endif
