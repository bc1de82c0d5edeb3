/* SPDX-License-Identifier: MIT */
/* target_stages.h - What a destination does in most stages (stages.c has the table) */
#ifndef FERRY_TARGET_STAGES_H
#define FERRY_TARGET_STAGES_H

#include "target.h"

int target_hello(struct target *t, struct error *err);
int target_build(struct target *t, struct error *err);
int target_precopy(struct target *t, struct error *err);
int target_state(struct target *t, struct error *err);
int target_written_list(struct target *t, struct error *err);
int target_discard(struct target *t, struct error *err);
int target_poison_list(struct target *t, struct error *err);
int target_commit(struct target *t, struct error *err);
int target_receive(struct target *t, struct error *err);
int target_finish(struct target *t, struct error *err);

/** target_await_confirmed() - The source knows that the guest is whole */
int target_await_confirmed(struct target *t, struct error *err);

#endif /* FERRY_TARGET_STAGES_H */
