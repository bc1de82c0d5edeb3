/* SPDX-License-Identifier: MIT */
/* source_poison.h - Lost pages that a source finds, or that are reported to it */
#ifndef FERRY_SOURCE_POISON_H
#define FERRY_SOURCE_POISON_H

#include "source.h"

/**
 * source_note_poison() - Pages are lost: post them to the machine's list
 * @s:		it
 * @gpa:	first page
 * @size:	bytes
 *
 * Pages that were to be sent and can't be read (invariant 3), and those that the
 * destination reports. Called also by threads that vCPUs of the destination wait
 * for: takes no lock.
 */
void source_note_poison(struct source *s, uint64_t gpa, uint64_t size);

/** source_report_poison() - Report what was posted; @ctx: the source */
void source_report_poison(void *ctx);

/** source_page_lost() - batch_lost_fn of a source's batches */
void source_page_lost(void *ctx, uint64_t gpa);

#endif /* FERRY_SOURCE_POISON_H */
