/* SPDX-License-Identifier: MIT */
/* target_relink.h - What a destination does in the stages of a further link */
#ifndef FERRY_TARGET_RELINK_H
#define FERRY_TARGET_RELINK_H

#include "target.h"

int target_rejoin(struct target *t, struct error *err);
int target_report(struct target *t, struct error *err);
int target_reattach(struct target *t, struct error *err);
int target_recommit(struct target *t, struct error *err);

#endif /* FERRY_TARGET_RELINK_H */
