/* SPDX-License-Identifier: MIT */
/*
 * channel_fault.h - A channel that fails on purpose
 *
 * Only in a build made with FAULTS=1: there FERRY_CHANNEL in the environment
 * names what happens on every channel of the process, words with commas
 * between. Any other build has no code of it.
 *
 *   short	a call transfers 1 to 32 bytes, or (three times in four) any
 *		number, at random, always the same for the same order of calls
 *   delay=US	each call that transfers bytes first sleeps this long
 *   rate=BYTES	each call then sleeps as long as its bytes take at this many a
 *		second
 *   cut=N	operation N fails, and its connection is shut. An operation is a
 *		call that sends or receives, counted over all channels of the
 *		process, from 1. A send transfers half of its bytes first
 *   cut=N+M	the same, and again at operation N + M
 *   all	a cut shuts all connections of the process, as a failing
 *		network does
 *   kill=N	the process ends at operation N, by SIGKILL
 *   stop=N	the process stops there, by SIGSTOP, until it is continued
 *
 * Each of these faults is logged: "fault: operation N: …". When a channel is
 * closed, "fault: N operations so far" is.
 */
#ifndef FERRY_CHANNEL_FAULT_H
#define FERRY_CHANNEL_FAULT_H

#include "channel.h"

#ifdef FERRY_FAULTS
/**
 * channel_fault_wrap() - Let an open channel fail as FERRY_CHANNEL says
 * @c:		the channel; what it was is kept inside it
 */
void channel_fault_wrap(struct channel *c);
#else
static inline void channel_fault_wrap(struct channel *c)
{
	(void)c;
}
#endif

#endif /* FERRY_CHANNEL_FAULT_H */
