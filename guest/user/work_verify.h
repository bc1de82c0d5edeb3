/* SPDX-License-Identifier: MIT */
/*
 * work_verify.h - work=verify, and its operations for work=idle
 */
#ifndef GUEST_USER_WORK_VERIFY_H
#define GUEST_USER_WORK_VERIFY_H

#include "worker.h"

extern const struct work work_verify;

/**
 * verify_step() - Check the next page, write its next generation
 * @c:		vCPU whose slice the page is in
 */
void verify_step(struct cpu *c);

/**
 * verify_write() - Write a page's generation (struct work, write)
 * @c:		vCPU whose slice the page is in
 * @page:	page
 * @to:		memory
 */
void verify_write(struct cpu *c, uint64_t page, uint64_t *to);

/**
 * verify_check() - Check a page's generation (struct work, check)
 * @c:		vCPU whose slice the page is in
 * @page:	page
 * @at:		where it is mapped
 */
void verify_check(struct cpu *c, uint64_t page, const uint64_t *at);

/**
 * verify_sweepable() - At any time (struct work, sweepable)
 * @c:		vCPU
 */
bool verify_sweepable(struct cpu *c);

#endif
