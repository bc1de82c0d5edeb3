/* SPDX-License-Identifier: MIT */
/*
 * verify.h - Most of RAM, checked and rewritten repeatedly
 */
#ifndef GUEST_LINUX_VERIFY_H
#define GUEST_LINUX_VERIFY_H

#include <stdint.h>

/** verify_start() - Fill the area; check and rewrite it after verify_go() */
void verify_start(void);

/** verify_go() - End the hold */
void verify_go(void);

/** verify_sweep() - Have all pages checked, then print "sweep n= pages=" */
void verify_sweep(void);

/**
 * struct verify_tally - What verification has done so far
 * @pages:	visits
 * @passes:	passes of the slowest thread
 * @lost:	pages that raised SIGBUS and were replaced
 */
struct verify_tally {
	uint64_t pages, passes, lost;
};

/** verify_tally() - Add it up over the threads */
struct verify_tally verify_tally(void);

#endif
