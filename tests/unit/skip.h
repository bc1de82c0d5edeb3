/* SPDX-License-Identifier: MIT */
/* skip.h - Skip a cmocka test, with a reason that tests/check.py shows */
#ifndef FERRY_TESTS_SKIP_H
#define FERRY_TESTS_SKIP_H

#include <stdio.h>

/* skip_because() - As cmocka's skip(); the arguments are printf's */
#define skip_because(...) do { \
	printf("# skip %s: ", __func__); \
	printf(__VA_ARGS__); \
	printf("\n"); \
	fflush(stdout); \
	skip(); \
} while (0)

#endif /* FERRY_TESTS_SKIP_H */
