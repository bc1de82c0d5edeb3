/* SPDX-License-Identifier: MIT */
/*
 * area.h - The data area: which pages it has, and where they are
 *
 * Pages are numbered from 0 at AREA_GPA, without a gap for the hole below
 * 4 GiB. The boot vCPU fills in struct area before the others start.
 */
#ifndef GUEST_AREA_H
#define GUEST_AREA_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

#define NO_GPA		(~0ULL)

/**
 * struct area - RAM from AREA_GPA up
 * @low_end:	guest physical address after the last low page
 * @high:	that of the first page above 4 GiB
 * @low_pages:	pages below 4 GiB
 * @ram_pages:	all pages from AREA_GPA up, in whole 2 MiB
 * @pages:	those of the data area; the rest belongs to the pool
 */
struct area {
	uint64_t low_end, high;
	uint64_t low_pages, ram_pages, pages;
};

extern struct area area;

/**
 * area_gpa() - Where a page is
 * @page:	number, less than ram_pages
 *
 * Return: guest physical address, before any retirement
 */
uint64_t area_gpa(uint64_t page);

/**
 * area_index() - Number of the page at an address from AREA_GPA up
 * @gpa:	guest physical address of RAM
 *
 * Return: number, which may be one of the pool
 */
uint64_t area_index(uint64_t gpa);

/**
 * area_page() - Which page of the data area is at an address?
 * @gpa:	guest physical address
 * @page:	its number, if not NULL
 *
 * Return: false when the address is outside the data area
 */
bool area_page(uint64_t gpa, uint64_t *page);

#endif
