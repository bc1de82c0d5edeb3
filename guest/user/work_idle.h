/* SPDX-License-Identifier: MIT */
/*
 * work_idle.h - work=idle: sleeps until the timer wakes it
 */
#ifndef GUEST_USER_WORK_IDLE_H
#define GUEST_USER_WORK_IDLE_H

#include "worker.h"

extern const struct work work_idle;

#endif
