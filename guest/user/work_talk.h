/* SPDX-License-Identifier: MIT */
/*
 * work_talk.h - work=talk: every vCPU prints at an interval
 */
#ifndef GUEST_USER_WORK_TALK_H
#define GUEST_USER_WORK_TALK_H

#include "worker.h"

extern const struct work work_talk;

#endif
