/* SPDX-License-Identifier: MIT */
/* sweep.h - Each call of a run fails, each thread is late, in its own run */
#ifndef FERRY_TESTS_SIM_SWEEP_H
#define FERRY_TESTS_SIM_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

/**
 * sweep_seed() - Run a seed once for each of its calls that may fail
 * @seed:	its guest and its network; its faults are left out
 *
 * A first run without faults counts the calls of both sides. Of a kind that is
 * called very often, a part fails. Then, for each phase, the thread that enters
 * it is late. Ends at the first run that breaks a rule.
 *
 * Return: true if all runs kept all rules
 */
bool sweep_seed(uint64_t seed);

/** sweep_runs() - Number of runs of the last call of sweep_seed() */
unsigned sweep_runs(void);

/**
 * sweep_choose() - Runs from now on have one failing call, to replay it
 * @text:	SIDE:CALL:NTH:ERRNO, such as source:malloc:12:12
 *
 * Return: false: not understood
 */
bool sweep_choose(const char *text);

#endif /* FERRY_TESTS_SIM_SWEEP_H */
