/* SPDX-License-Identifier: MIT */
/*
 * work_dirty.h - work=dirty: writes at a rate, 64 bytes of each page a pass
 */
#ifndef GUEST_USER_WORK_DIRTY_H
#define GUEST_USER_WORK_DIRTY_H

#include "worker.h"

extern const struct work work_dirty;

#endif
