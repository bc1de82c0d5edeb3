/* SPDX-License-Identifier: MIT */
/*
 * work_token.h - work=token: vCPUs pass a growing value on
 */
#ifndef GUEST_USER_WORK_TOKEN_H
#define GUEST_USER_WORK_TOKEN_H

#include "worker.h"

extern const struct work work_token;

#endif
