/* SPDX-License-Identifier: MIT */
/*
 * workloads.h - The table of workloads
 */
#ifndef GUEST_USER_WORKLOADS_H
#define GUEST_USER_WORKLOADS_H

#include <stdbool.h>

/**
 * workload_choose() - Set work to a workload; the default is verify
 * @name:	as in work=
 *
 * Return: false when no workload has that name
 */
bool workload_choose(const char *name);

#endif
