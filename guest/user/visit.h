/* SPDX-License-Identifier: MIT */
/*
 * visit.h - Visits to pages, and the handling of pages lost in them
 */
#ifndef GUEST_USER_VISIT_H
#define GUEST_USER_VISIT_H

#include "../cpu.h"

/**
 * visit_begin() - Prepare for accesses to a page
 * @c:		this vCPU
 * @page:	page number
 *
 * Return: where it is mapped; valid until visit_end()
 */
uint64_t *visit_begin(struct cpu *c, uint64_t page);

/**
 * visit_end() - All accesses to the page were made
 * @c:		this vCPU
 *
 * Reports a page that "expect" named and that could be read all the same.
 */
void visit_end(struct cpu *c);

/**
 * visit_recover() - At the top of the loop: handle queued machine checks
 * @c:		this vCPU
 */
void visit_recover(struct cpu *c);

/**
 * visit_unaddressed() - Number of machine checks that named no page
 */
uint64_t visit_unaddressed(void);

#endif
