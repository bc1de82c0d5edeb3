/* SPDX-License-Identifier: MIT */
/* bits.h - Runs of bits in 64-bit words (pure) */
#ifndef FERRY_BITS_H
#define FERRY_BITS_H

#include <stddef.h>
#include <stdint.h>

#define BITS	64	/* to a word */

/**
 * bits_mask() - A run of bits of one word
 * @from:	first bit, below BITS
 * @to:		bit after the last, at most BITS
 */
static inline uint64_t bits_mask(size_t from, size_t to)
{
	return (to == BITS ? ~0ull : (1ull << to) - 1) & ~0ull << from;
}

#endif /* FERRY_BITS_H */
