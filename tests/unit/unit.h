/* SPDX-License-Identifier: MIT */
/* unit.h - What every unit test includes first: cmocka and what it needs */
#ifndef FERRY_TESTS_UNIT_H
#define FERRY_TESTS_UNIT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/skip.h"

/**
 * dice() - The next of a reproducible sequence of numbers
 * @seed:	its state, not 0
 *
 * Return: 64 bits that look random (xorshift: Marsaglia, "Xorshift RNGs")
 */
static inline uint64_t dice(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* A refusal must say why, with these words in it */
#define assert_refused(rc, errno_, error_, words) do { \
	assert_int_equal((rc), -(errno_)); \
	assert_int_equal((error_).code, (errno_)); \
	if (!strstr((error_).text, (words))) \
		fail_msg("'%s' does not say '%s'", (error_).text, (words)); \
} while (0)

#endif /* FERRY_TESTS_UNIT_H */
