/* SPDX-License-Identifier: MIT */
/* source_precopy.h - Passes over RAM while the guest still runs on the source */
#ifndef FERRY_SOURCE_PRECOPY_H
#define FERRY_SOURCE_PRECOPY_H

#include "source.h"

/** source_pass_lost() - A page that a pass was to send can't be read */
void source_pass_lost(struct source *s, uint64_t gpa);

/** source_pass_written() - Pages of ZERO_LIST were written, and are sent */
void source_pass_written(struct source *s, uint64_t offset, uint64_t len);

/** source_precopy_end() - Free what the passes needed; the guest may run */
void source_precopy_end(struct source *s);

/** source_precopy() - Stage: passes over RAM, if there are to be any */
int source_precopy(struct source *s, struct error *err);

/** source_discard() - Stage: name the copies that are out of date */
int source_discard(struct source *s, struct error *err);

#endif /* FERRY_SOURCE_PRECOPY_H */
