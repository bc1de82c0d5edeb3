/* SPDX-License-Identifier: MIT */
/* clock.h - Time in ns */
#ifndef FERRY_CLOCK_H
#define FERRY_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS	1000000ull
#define NS_PER_S	1000000000ull

/** clock_ns() - A clock's time, ns */
static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/** now_ns() - CLOCK_MONOTONIC, in ns */
static inline uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/** now_ms() - The same in whole ms */
static inline uint64_t now_ms(void)
{
	return now_ns() / NS_PER_MS;
}

/** ns_after() - The time of now_ns() when so many ms have passed */
static inline uint64_t ns_after(unsigned ms)
{
	return now_ns() + ms * NS_PER_MS;
}

#endif /* FERRY_CLOCK_H */
