/* SPDX-License-Identifier: MIT */
/*
 * memory_channel.h - A channel in memory, with faults
 *
 * A pair of channels without a socket between them: the proof that struct
 * channel_ops is all that an implementation has to provide, and a way to have
 * short reads, bytes that poll() does not see, and a cut at the Nth operation.
 */
#ifndef FERRY_TESTS_MEMORY_CHANNEL_H
#define FERRY_TESTS_MEMORY_CHANNEL_H

#include "migration/link/channel.h"

#define MEMORY_CHANNEL_BYTES	65536

/**
 * struct memory_faults - What goes wrong on a pair, changeable at any time
 * @most:	bytes that one operation moves at most; 0 for no limit
 * @cut_at:	operation, counted from 1 over both ends, at which the
 *		connection ends; 0 for never
 * @operations:	done so far
 * @hide:	poll() reports nothing: bytes are seen by @pending only
 */
struct memory_faults {
	size_t most;
	unsigned cut_at, operations;
	bool hide;
};

/**
 * memory_channel_pair() - Two connected channels
 * @a, @b:	filled in; each to be closed
 * @faults:	of the pair; stays in use
 */
void memory_channel_pair(struct channel *a, struct channel *b,
			 struct memory_faults *faults);

#endif /* FERRY_TESTS_MEMORY_CHANNEL_H */
