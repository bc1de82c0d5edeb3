/* SPDX-License-Identifier: MIT */
/* clock.h - Monotonic time */
#ifndef FERRY_CLOCK_H
#define FERRY_CLOCK_H

#include <stdint.h>
#include <time.h>

/** now_ns() - CLOCK_MONOTONIC, in ns */
static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#endif /* FERRY_CLOCK_H */
