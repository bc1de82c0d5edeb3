/* SPDX-License-Identifier: MIT */
/*
 * policy.h - Which pages to push next (pure)
 *
 * What a guest touched last tells best what it touches next: the push works
 * outward from the last faults. Each of a few trails started at a fault and
 * grows in both directions, upward twice as fast, because programs mostly
 * walk that way. A new fault near a trail moves it there; a fault elsewhere
 * replaces the trail that was idle longest. A trail that ran into both ends has
 * visited everything: so every page gets its turn, whatever the faults.
 */
#ifndef FERRY_POLICY_H
#define FERRY_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "sent.h"

#define POLICY_TRAILS	4
#define POLICY_NEAR	1024	/* pages: a fault this close is the same trail */
#define POLICY_RUN	64	/* pages pushed in one go */

/**
 * struct trail - Where pushing grew outward from a fault
 * @up:		next page above
 * @down:	all pages from here to @up were seen to
 * @used:	when it was last moved by a fault
 * @turn:	counts its runs
 */
struct trail {
	size_t up, down;
	uint64_t used;
	unsigned turn;
};

struct policy {
	struct trail trail[POLICY_TRAILS];
	unsigned trails, next;
	uint64_t clock;
};

/** policy_init() - Start with one trail at page 0 */
void policy_init(struct policy *p);

/**
 * policy_fault() - A vCPU wanted a page
 * @p:		the policy
 * @page:	which
 */
void policy_fault(struct policy *p, size_t page);

/**
 * policy_next() - Claim the next run to push
 * @p:		the policy
 * @s:		what was claimed already
 * @first:	set to the run's first page
 *
 * Return: pages in the run, 0 when every page is claimed
 */
size_t policy_next(struct policy *p, struct sent *s, size_t *first);

#endif /* FERRY_POLICY_H */
