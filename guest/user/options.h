/* SPDX-License-Identifier: MIT */
/*
 * options.h - Boot arguments: key=value words, separated by spaces
 */
#ifndef GUEST_USER_OPTIONS_H
#define GUEST_USER_OPTIONS_H

#include "../line.h"

enum order_kind { ORDER_SEQ, ORDER_STRIDE, ORDER_RANDOM };

/* Boot arguments; docs/guest.md has their meaning */
struct options {
	uint64_t order;		/* enum order_kind */
	uint64_t mib, vcpus, cpus, seed, interval_ms, rate, stride;
	uint64_t period_us, passes, hold, share, part;
};

extern struct options options;

/**
 * options_parse() - Read the command line into options
 * @cmdline:	text
 * @choose_work: called with the value of work=; returns false when no workload
 *		has that name
 * @l:		for an error line, which is printed
 *
 * Return: 0, -1 after an error line
 */
int options_parse(const char *cmdline, bool (*choose_work)(const char *name),
		  struct line *l);

#endif
