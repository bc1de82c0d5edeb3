/* SPDX-License-Identifier: MIT */
/*
 * mutant.h - Faults put in on purpose, to see that the guest catches them
 *
 * Only in a build made with FAULTS=1, for tests/failure: there the environment's FERRY_FAULT
 * names one. In any other build mutant() is false and all of it is gone.
 */
#ifndef FERRY_MUTANT_H
#define FERRY_MUTANT_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/**
 * mutant() - Is a fault switched on?
 * @name:	"drop-poison": a source tells nothing of poison and sends zeroes
 *		for pages that it can't read; "late-copy": a destination copies over
 *		the poison that it placed; "old-kernel": a destination makes do
 *		without UFFDIO_POISON
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
