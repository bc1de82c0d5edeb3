/* SPDX-License-Identifier: MIT */
/*
 * clock.h - Whether a clock steps back, and how long nothing ran
 */
#ifndef GUEST_LINUX_CLOCK_H
#define GUEST_LINUX_CLOCK_H

/** clock_start() - Sample the clocks from now on */
void clock_start(void);

/** clock_mark() - Reset the longest gap */
void clock_mark(void);

/** clock_report() - Print "clock …" */
void clock_report(void);

#endif
