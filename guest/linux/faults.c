// SPDX-License-Identifier: MIT
/* faults.c - The number of faults found */

#include <stdatomic.h>

#include "faults.h"

static _Atomic uint64_t faults;

void faults_add(uint64_t n)
{
	faults += n;
}

uint64_t faults_total(void)
{
	return faults;
}
