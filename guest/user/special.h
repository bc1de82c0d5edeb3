/* SPDX-License-Identifier: MIT */
/*
 * special.h - A table of the few pages with special properties
 */
#ifndef GUEST_USER_SPECIAL_H
#define GUEST_USER_SPECIAL_H

#include <stdbool.h>
#include <stdint.h>

/**
 * enum page_flags - Properties of a page
 * @PAGE_EXPECTED:	the command "expect" named it
 * @PAGE_SEEN:		a machine check named it
 * @PAGE_MARKED:	to be retired before the next visit
 * @PAGE_RETIRED:	replaced by a fresh page
 * @PAGE_READABLE:	expected, but an access to it succeeded
 */
enum page_flags {
	PAGE_EXPECTED = 1,
	PAGE_SEEN = 2,
	PAGE_MARKED = 4,
	PAGE_RETIRED = 8,
	PAGE_READABLE = 16,
};

/**
 * special_flags() - Flags of a page
 * @gpa:	its address
 *
 * Return: PAGE_... flags, 0 for most pages
 */
uint32_t special_flags(uint64_t gpa);

/**
 * special_set() - Add flags to a page
 * @gpa:	its address, which may be outside the data area
 * @flags:	PAGE_... flags to add
 *
 * Return: false when the table is full
 */
bool special_set(uint64_t gpa, uint32_t flags);

/**
 * special_count() - Count the pages whose flags under a mask have a value
 * @mask:	flags to compare
 * @flags:	their value
 */
uint64_t special_count(uint32_t mask, uint32_t flags);

#endif
