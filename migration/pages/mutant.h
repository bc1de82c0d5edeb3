/* SPDX-License-Identifier: MIT */
/*
 * mutant.h - Faults made on purpose, to prove that the tests notice them
 *
 * Only in a build made with FAULTS=1: there FERRY_FAULT in the environment
 * names a fault. In any other build mutant() is false, and the compiler
 * removes the code.
 */
#ifndef FERRY_MUTANT_H
#define FERRY_MUTANT_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/**
 * mutant() - Is a fault switched on?
 * @name:	"drop-poison": a source reports no poison, and sends zeroes for
 *		pages that it can't read; "late-copy": a destination copies
 *		over the poison that it placed; "old-kernel": a destination
 *		acts as if the kernel had no UFFDIO_POISON
 *
 * Return: true if it is
 */
static inline bool mutant(const char *name)
{
#ifdef FERRY_FAULTS
	const char *set = getenv("FERRY_FAULT");

	return set && !strcmp(set, name);
#else
	(void)name;
	return false;
#endif
}

#endif /* FERRY_MUTANT_H */
