/* SPDX-License-Identifier: MIT */
/*
 * pacer.h - Keeps a bandwidth limit over several threads (pure)
 *
 * A token bucket with a capped burst, kept as the one time at which all that
 * was sent will have been paid for (the generic cell rate algorithm, ITU-T
 * I.371): a time in the past is credit, of which PACER_BURST_NS at most
 * counts. One atomic, so that the demand thread shares no lock with bulk
 * threads.
 */
#ifndef FERRY_PACER_H
#define FERRY_PACER_H

#include <stdatomic.h>
#include <stdint.h>

#define PACER_BURST_NS	10000000	/* credit of an idle connection */

/**
 * struct pacer - Zeroed: no limit
 * @limit:	bytes per second; 0 for no limit
 * @paid:	when all that was sent is paid for, ns
 */
struct pacer {
	_Atomic uint64_t limit, paid;
};

/**
 * pacer_set_limit() - Change the limit; any thread
 * @p:		the pacer
 * @limit:	bytes per second; 0 for no limit
 *
 * Debt of the old limit is cancelled: the new one is for what comes.
 */
void pacer_set_limit(struct pacer *p, uint64_t limit);

/**
 * pacer_wait_ns() - How long to wait before anything may be sent
 * @p:		the pacer
 * @now:	time, ns
 *
 * Return: ns, 0 to send at once
 */
uint64_t pacer_wait_ns(const struct pacer *p, uint64_t now);

/**
 * pacer_spend() - Bytes are sent
 * @p:		the pacer
 * @now:	time, ns
 * @bytes:	bytes; may exceed the credit: later ones wait longer
 */
void pacer_spend(struct pacer *p, uint64_t now, uint64_t bytes);

#endif /* FERRY_PACER_H */
