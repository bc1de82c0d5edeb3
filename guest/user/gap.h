/* SPDX-License-Identifier: MIT */
/*
 * gap.h - The longest time in which vCPU 0 makes no progress
 */
#ifndef GUEST_USER_GAP_H
#define GUEST_USER_GAP_H

#include "../line.h"

/**
 * gap_start() - Reset both maxima
 * @now:	TSC
 */
void gap_start(uint64_t now);

/**
 * gap_skip() - Exclude the time until now: vCPU 0 printed or ran a command
 * @now:	TSC
 */
void gap_skip(uint64_t now);

/**
 * gap_tick() - vCPU 0 made progress
 * @now:	TSC; in the future when vCPU 0 slept until then on purpose
 */
void gap_tick(uint64_t now);

/**
 * gap_report() - Append both maxima; starts a new interval
 * @l:		report line
 */
void gap_report(struct line *l);

#endif
