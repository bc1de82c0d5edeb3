/* SPDX-License-Identifier: MIT */
/*
 * options.h - Kernel arguments for this init: ferry.KEY=VALUE
 */
#ifndef GUEST_LINUX_OPTIONS_H
#define GUEST_LINUX_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define MIB		(1ull << 20)
#define THREADS_MAX	64

enum work {
	WORK_VERIFY, WORK_VICTIM, WORK_CACHE, WORK_CLOCK, WORK_KMSG,
	WORK_STRESS, WORK_MEMTESTER, WORK_SHELL, WORKS,
};

/**
 * struct options - What the kernel's command line asks for
 * @works:	a bit for each enum work
 * @mib:	verify: MiB of the area, 0 for most of the free memory
 * @threads:	verify: threads, 0 for one per CPU
 * @seed:	part of every word
 * @hold:	1: fill the memory, then wait for "go"
 * @interval_ms: time between reports, 0: only by command
 * @victims:	victim, cache: pages each
 * @touch_ms:	victim: time between accesses to a page, 0 for none
 * @kmsg:	kmsg: kernel messages up to this level
 * @mce_poll_s:	interval at which Linux polls the machine-check banks, 0 for
 *		its default
 * @stress_mib:	memory that stress-ng works on
 * @memtester_mib: memory that memtester works on
 */
struct options {
	unsigned works;
	uint64_t mib, threads, seed, hold, interval_ms, victims, touch_ms;
	uint64_t kmsg, mce_poll_s, stress_mib, memtester_mib;
};

extern struct options options;

/**
 * options_parse() - Read every ferry.KEY=VALUE of a command line into options
 * @line:	the command line, which is modified
 *
 * Prints "error arg=…" for an unknown key or a bad value.
 *
 * Return: 0, -1 after such a line
 */
int options_parse(char *line);

/**
 * options_want() - Is a workload requested?
 * @w:		workload
 */
static inline bool options_want(enum work w)
{
	return options.works & 1u << w;
}

#endif
