/* SPDX-License-Identifier: MIT */
/*
 * answer_size.h - How many pages shall follow the answer to a request (pure)
 *
 * A request costs both hosts much more processor time than a further page in
 * its answer. A vCPU that is never idle meets a missing page until nearly all
 * are there, and runs the sooner the more pages each answer brings. A vCPU that
 * sleeps between its accesses needs few pages: it loses least if no others delay
 * its answer, or use the cores that move it. So the destination measures
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
#ifndef FERRY_ANSWER_SIZE_H
#define FERRY_ANSWER_SIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "page_stats.h"
#include "readahead.h"

#define ANSWER_WINDOW_NS	8000000u
#define ANSWER_BUSY		5	/* idle percent of a window: a step up */
#define ANSWER_IDLE		12	/* from here on: a page */

enum answer_level { ANSWER_PAGE, ANSWER_RUN, ANSWER_BLOCK };

/** struct around - Pages before and after the requested ones */
struct around {
	uint16_t before, after;
};

/**
 * struct answer_vcpu - What is known of a vCPU
 * @idle:	how long it had been idle at the beginning of the window, ns
 * @exits:	how often it had left the guest then
 * @level:	what its requests ask for
 */
struct answer_vcpu {
	uint64_t idle, exits;
	enum answer_level level;
};

/**
 * struct answer_size - Of all vCPUs; zeroed at the start
 * @since:	when the window began, ns
 * @vcpu:	each, and one for requests whose vCPU is not known
 * @walks:	requests that follow each other
 */
struct answer_size {
	uint64_t since;
	struct answer_vcpu vcpu[PAGE_STATS_VCPUS + 1];
	struct readahead walks;
};

/**
 * answer_size_step() - The level after a window
 * @level:	in the window
 * @ran:	the vCPU has run in it: one that is halted all the time has not,
 *		and its idle time is not known before it wakes up
 * @idle:	how long it was idle in it, ns
 * @window:	its length, ns
 */
enum answer_level answer_size_step(enum answer_level level, bool ran,
				  uint64_t idle, uint64_t window);

/** answer_size_due() - Is the window old enough for answer_size_measure()? */
bool answer_size_due(const struct answer_size *a, uint64_t now);

/**
 * answer_size_measure() - A window of a vCPU ends
 * @a:		the answer sizes
 * @vcpu:	which
 * @idle:	how long it was idle in all, ns; UINT64_MAX: unknown
 * @exits:	how often it has left the guest in all
 * @waits:	it waits for a page now: if it has not left the guest in the window,
 *		it was not halted, and its level stays
 * @now:	time, ns
 */
void answer_size_measure(struct answer_size *a, unsigned vcpu, uint64_t idle,
		      uint64_t exits, bool waits, uint64_t now);

/** answer_size_next() - All vCPUs were measured: begin a window, if it is due */
void answer_size_next(struct answer_size *a, unsigned vcpus, uint64_t now);

/**
 * answer_size_around() - A page is about to be requested: what shall follow?
 * @a:		the answer sizes
 * @page:	the page
 * @vcpu:	that waits; PAGE_STATS_OTHER: as for the one that is idle least
 *
 * Return: pages around it, of which not all need to be RAM
 */
struct around answer_size_around(struct answer_size *a, size_t page, unsigned vcpu);

#endif /* FERRY_ANSWER_SIZE_H */
