/* SPDX-License-Identifier: MIT */
/* target_poison.h - Lost pages that arrive at a destination, or are made there */
#ifndef FERRY_TARGET_POISON_H
#define FERRY_TARGET_POISON_H

#include "target.h"

/*
 * Functions of struct page_store_events; @ctx: the target. The first one is called
 * by threads that vCPUs wait for, and takes no lock
 */
int target_poisoned(void *ctx, uint64_t gpa, uint64_t size, bool delivered);
void target_report_poison(void *ctx);
void target_crash(void *ctx);

/** target_inject() - The machine's hook for poison made on purpose */
int target_inject(void *ctx, uint64_t offset, bool simulate,
		  struct error *err);

#endif /* FERRY_TARGET_POISON_H */
