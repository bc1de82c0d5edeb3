/* SPDX-License-Identifier: MIT */
/*
 * memory.h - Memory of the code under test
 *
 * Each block is listed with the side that allocated it: what a side has not
 * freed when its process ends is a leak, and what a crashed process had is
 * freed for it. New memory is filled with a pattern.
 */
#ifndef FERRY_TESTS_SIM_MEMORY_H
#define FERRY_TESTS_SIM_MEMORY_H

#include <stddef.h>

#include "sched.h"

/** memory_setup() - Have the C library keep freed memory; once */
void memory_setup(void);

/** memory_blocks() - Number of blocks that a side has not freed */
size_t memory_blocks(enum side side);

/** memory_bytes() - Their bytes */
size_t memory_bytes(enum side side);

/** memory_relabel() - Blocks of a side are the other side's from now on */
void memory_relabel(enum side from, enum side to);

/** memory_free_all() - Free the blocks of a side; SIDE_NONE: of both */
void memory_free_all(enum side side);

#endif /* FERRY_TESTS_SIM_MEMORY_H */
