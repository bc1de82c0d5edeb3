/* SPDX-License-Identifier: MIT */
/*
 * victim.h - Pages at printed addresses, for tests to poison
 */
#ifndef GUEST_LINUX_VICTIM_H
#define GUEST_LINUX_VICTIM_H

#include <stdint.h>

/** victim_start() - Map the pages, print the address of each */
void victim_start(void);

/** victim_go() - From now on access them in turn, if ferry.touch_ms is set */
void victim_go(void);

/**
 * victim_touch() - Access one page and report the result
 * @n:		number of the page
 *
 * Prints "touched n=…", preceded by "bus …" and the address of the fresh page
 * if the page was lost.
 */
void victim_touch(uint64_t n);

/** victim_print() - Print the address of each page now */
void victim_print(void);

#endif
