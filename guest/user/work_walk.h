/* SPDX-License-Identifier: MIT */
/*
 * work_walk.h - work=walk: reads one word of each page, in one of three orders
 */
#ifndef GUEST_USER_WORK_WALK_H
#define GUEST_USER_WORK_WALK_H

#include "worker.h"

extern const struct work work_walk;

#endif
