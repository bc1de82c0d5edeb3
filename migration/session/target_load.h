/* SPDX-License-Identifier: MIT */
/* target_load.h - Lists, lost pages and state that a destination has received */
#ifndef FERRY_TARGET_LOAD_H
#define FERRY_TARGET_LOAD_H

#include "target.h"

/** target_drop_received() - Free what was received to be loaded */
void target_drop_received(struct target *t);

/** target_zero_list() - Stage: receive and apply ZERO_LIST; send READY */
int target_zero_list(struct target *t, struct error *err);

/** target_prepare() - Stage: load all that was received; send PREPARED */
int target_prepare(struct target *t, struct error *err);

#endif /* FERRY_TARGET_LOAD_H */
