/* SPDX-License-Identifier: MIT */
/*
 * appetite.h - How many pages shall follow the answer to a request (pure)
 *
 * A request costs both hosts much more processor time than a further page in
 * its answer. A vCPU that is never idle meets a missing page until nearly all
 * are there, and runs the sooner the more pages each answer brings. A vCPU that
 * sleeps between its accesses needs few pages: it loses least if no others stand
 * before its answer, or take the cores that move it. So the destination measures
 * in windows of time whether each vCPU is idle, and its requests ask for a page,
 * an aligned run of 64 pages, or an aligned block of 2 MiB.
 *
 * How long a vCPU waits for pages does not tell the two apart: on a busy host
 * most of a stall is the wait for a core, before the request and after the
 * answer.
 *
 * A vCPU that walks through memory gets pages after each answer, too
 * (readahead.h), idle or not.
 */
#ifndef FERRY_APPETITE_H
#define FERRY_APPETITE_H

#include <stdbool.h>
#include <stdint.h>

#include "page_stats.h"
#include "readahead.h"

#define APPETITE_WINDOW_NS	8000000u
#define APPETITE_BUSY		5	/* idle percent of a window: a step up */
#define APPETITE_IDLE		12	/* from here on: a page */

enum appetite_level { APPETITE_PAGE, APPETITE_RUN, APPETITE_BLOCK };

/** struct around - Pages before and after the requested ones */
struct around {
	uint16_t before, after;
};

/**
 * struct appetite_vcpu - What is known of a vCPU
 * @idle:	how long it had been idle at the beginning of the window, ns
 * @exits:	how often it had left the guest then
 * @level:	what its requests ask for
 */
struct appetite_vcpu {
	uint64_t idle, exits;
	enum appetite_level level;
};

/**
 * struct appetite - Of all vCPUs; zeroed at the start
 * @since:	when the window began, ns
 * @vcpu:	each, and one for requests whose vCPU is not known
 * @walks:	requests that follow each other
 */
struct appetite {
	uint64_t since;
	struct appetite_vcpu vcpu[PAGE_STATS_VCPUS + 1];
	struct readahead walks;
};

/**
 * appetite_step() - The level after a window
 * @level:	in the window
 * @ran:	the vCPU has run in it: one that is halted all the time has not,
 *		and its idle time is not known before it wakes up
 * @idle:	how long it was idle in it, ns
 * @window:	its length, ns
 */
enum appetite_level appetite_step(enum appetite_level level, bool ran,
				  uint64_t idle, uint64_t window);

/** appetite_due() - Is the window old enough for appetite_measure()? */
bool appetite_due(const struct appetite *a, uint64_t now);

/**
 * appetite_measure() - A window of a vCPU ends
 * @a:		the appetite
 * @vcpu:	which
 * @idle:	how long it was idle in all, ns; UINT64_MAX: unknown
 * @exits:	how often it has left the guest in all
 * @waits:	it waits for a page now: if it has not left the guest in the window,
 *		it was not halted, and its level stays
 * @now:	time, ns
 */
void appetite_measure(struct appetite *a, unsigned vcpu, uint64_t idle,
		      uint64_t exits, bool waits, uint64_t now);

/** appetite_next() - All vCPUs were measured: begin a window, if it is due */
void appetite_next(struct appetite *a, unsigned vcpus, uint64_t now);

/**
 * appetite_around() - A page is about to be requested: what shall follow?
 * @a:		the appetite
 * @page:	the page
 * @vcpu:	that waits; PAGE_STATS_OTHER: as for the one that is idle least
 *
 * Return: pages around it, of which not all need to be RAM
 */
struct around appetite_around(struct appetite *a, size_t page, unsigned vcpu);

#endif /* FERRY_APPETITE_H */
