/* SPDX-License-Identifier: MIT */
/* run.h - One run of the simulator, from the start to a state it may end in */
#ifndef FERRY_TESTS_SIM_RUN_H
#define FERRY_TESTS_SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>

/** run_seed() - Run a seed. Return: true if all rules were kept */
bool run_seed(uint64_t seed);

/** run_summary() - How the last run ended, in a few words */
const char *run_summary(void);

#endif /* FERRY_TESTS_SIM_RUN_H */
