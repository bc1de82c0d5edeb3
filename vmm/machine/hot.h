/* SPDX-License-Identifier: MIT */
/*
 * hot.h - The pages that vCPUs touch first when they continue
 *
 * A guest that arrives without its page tables, its interrupt table and the
 * page that it executes spends its first milliseconds requesting them one after
 * the other. These few pages are sent with the hand-over.
 */
#ifndef FERRY_HOT_H
#define FERRY_HOT_H

#include <stddef.h>
#include <stdint.h>

struct machine;

#define HOT_PER_VCPU	32	/* pages that hot_pages() lists at most */

/**
 * hot_pages() - List the pages that vCPUs touch first
 * @m:		the machine, paused
 * @gpa:	filled in with the addresses of pages of RAM; one may be there
 *		twice
 * @max:	room there
 *
 * From each vCPU's registers: the page tables that lead to the instruction,
 * the stack and the descriptor tables, those pages, and the clock's page. A
 * hint: nothing depends on it.
 *
 * Return: number of pages
 */
size_t hot_pages(struct machine *m, uint64_t *gpa, size_t max);

/** struct hot_list - @n of @max pages in @gpa; for arch_vcpu_hot_pages() */
struct hot_list {
	struct machine *m;
	uint64_t *gpa;
	size_t n, max;
};

/** hot_list_add() - Append the page that contains @gpa, if it is RAM */
void hot_list_add(struct hot_list *l, uint64_t gpa);

#endif /* FERRY_HOT_H */
