/* SPDX-License-Identifier: MIT */
/*
 * compare.h - Are two saved states of a machine the same?
 *
 * What runs by itself, and is left out of the comparison:
 *	clock		kvmclock and the host's clocks that it is paired with
 *	PIT		count_load_time, the host's clock
 *	LAPIC		current count of the timer (register 0x390)
 *	MSRs		TSC (0x10) and what follows from it: see runs_by_itself()
 *	TSC offset	where KVM lets it be set
 */
#ifndef FERRY_TESTS_COMPARE_H
#define FERRY_TESTS_COMPARE_H

#include "vmm/base/bytes.h"

/**
 * compare_states() - Fail the test unless they are
 * @a:		what was
 * @b:		what is now
 * @where:	for the message
 */
void compare_states(const struct writer *a, const struct writer *b,
		    const char *where);

#endif /* FERRY_TESTS_COMPARE_H */
