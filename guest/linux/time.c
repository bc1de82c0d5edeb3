// SPDX-License-Identifier: MIT
/* time.c - Time for the workloads */

#include <errno.h>
#include <time.h>

#include "time.h"

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void sleep_ms(uint64_t ms)
{
	struct timespec t = {
		.tv_sec = (time_t)(ms / 1000),
		.tv_nsec = (long)(ms % 1000) * 1000000,
	};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}
