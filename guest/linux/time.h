/* SPDX-License-Identifier: MIT */
/*
 * time.h - Time for the workloads
 */
#ifndef GUEST_LINUX_TIME_H
#define GUEST_LINUX_TIME_H

#include <stdint.h>

/** now_us() - Microseconds by CLOCK_MONOTONIC */
uint64_t now_us(void);

/**
 * sleep_ms() - Sleep for the whole time, also when a signal arrives
 * @ms:		milliseconds
 */
void sleep_ms(uint64_t ms);

#endif
