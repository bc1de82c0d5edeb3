/* SPDX-License-Identifier: MIT */
/*
 * hot.h - The memory that vCPUs touch first when they go on
 *
 * A guest that arrives without its page tables, its interrupt table and the
 * page it executes spends its first milliseconds asking for them one by one. These few pages
 * travel with the hand-over.
 */
#ifndef FERRY_HOT_H
#define FERRY_HOT_H

#include <stddef.h>
#include <stdint.h>

struct machine;

#define HOT_PER_VCPU	32

/**
 * hot_pages() - What the vCPUs touch first
 * @m:		the machine, paused
 * @gpa:	filled in with page addresses that are RAM, some perhaps twice
 * @max:	room there
 *
 * From each vCPU's registers: the page tables that lead to RIP, RSP, IDT, GDT
 * and TSS, those pages, and its kvmclock page. A hint: nothing depends on it.
 *
 * Return: how many
 */
size_t hot_pages(struct machine *m, uint64_t *gpa, size_t max);

#endif /* FERRY_HOT_H */
