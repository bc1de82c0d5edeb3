/* SPDX-License-Identifier: MIT */
/* source_zero_list.h - RAM that was never written: ZERO_LIST and WRITTEN_LIST */
#ifndef FERRY_SOURCE_ZERO_LIST_H
#define FERRY_SOURCE_ZERO_LIST_H

#include "source.h"

/** source_scan() - Stage: announce RAM that was never written */
int source_scan(struct source *s, struct error *err);

/** source_zero() - Stage: correct what was written since */
int source_zero(struct source *s, struct error *err);

#endif /* FERRY_SOURCE_ZERO_LIST_H */
