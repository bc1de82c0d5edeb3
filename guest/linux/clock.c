// SPDX-License-Identifier: MIT
/* clock.c - Whether a clock steps back, and how long nothing ran */

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <x86intrin.h>

#include "clock.h"
#include "faults.h"
#include "say.h"
#include "time.h"

#define SAMPLE_MS	1

enum { MONOTONIC, REALTIME, TSC, CLOCKS };

static const char *const clock_names[CLOCKS] = {
	[MONOTONIC] = "monotonic", [REALTIME] = "realtime", [TSC] = "tsc",
};

static _Atomic uint64_t samples, backs[CLOCKS], gap_us, gap_at_us;

static uint64_t read_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t read_tsc(void)
{
	_mm_lfence();
	return __rdtsc();
}

static void clocks_sample(uint64_t *v)
{
	v[MONOTONIC] = read_ns(CLOCK_MONOTONIC);
	v[REALTIME] = read_ns(CLOCK_REALTIME);
	v[TSC] = read_tsc();
}

static void clocks_compare(const uint64_t *before, const uint64_t *after)
{
	uint64_t gap = (after[MONOTONIC] - before[MONOTONIC]) / 1000;

	for (unsigned i = 0; i < CLOCKS; i++) {
		if (after[i] >= before[i])
			continue;
		backs[i]++;
		faults_add(1);
		say("back clock=%s before=%llu after=%llu",
		    clock_names[i],
		    (unsigned long long)before[i],
		    (unsigned long long)after[i]);
	}
	if (after[MONOTONIC] >= before[MONOTONIC] && gap > gap_us) {
		gap_us = gap;
		gap_at_us = after[MONOTONIC] / 1000;
	}
	samples++;
}

static void *clock_thread(void *arg)
{
	uint64_t v[2][CLOCKS];
	unsigned now = 0;

	for (clocks_sample(v[now]); ; now = !now) {
		sleep_ms(SAMPLE_MS);
		clocks_sample(v[!now]);
		clocks_compare(v[now], v[!now]);
	}
	return arg;
}

void clock_start(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, clock_thread, NULL);
}

void clock_mark(void)
{
	gap_us = 0;
}

void clock_report(void)
{
	say("clock samples=%llu monotonic_back=%llu realtime_back=%llu tsc_back=%llu gap_max_us=%llu gap_at_us=%llu",
	    (unsigned long long)samples,
	    (unsigned long long)backs[MONOTONIC],
	    (unsigned long long)backs[REALTIME],
	    (unsigned long long)backs[TSC], (unsigned long long)gap_us,
	    (unsigned long long)gap_at_us);
}
