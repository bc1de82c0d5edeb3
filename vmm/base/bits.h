/* SPDX-License-Identifier: MIT */
/* bits.h - Bitmaps of 64-bit words, lowest bit first (pure) */
#ifndef FERRY_BITS_H
#define FERRY_BITS_H

#include <stdbool.h>
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

/** bits_test() - Is a bit set? */
static inline bool bits_test(const uint64_t *bits, size_t i)
{
	return bits[i / BITS] >> i % BITS & 1;
}

/** bits_fill() - Set a run of bits, or clear it */
static inline void bits_fill(uint64_t *bits, size_t i, size_t n, bool value)
{
	while (n) {
		size_t from = i % BITS, room = BITS - from;
		size_t now = n < room ? n : room;
		uint64_t mask = bits_mask(from, from + now);

		if (value)
			bits[i / BITS] |= mask;
		else
			bits[i / BITS] &= ~mask;
		i += now;
		n -= now;
	}
}

/** bits_next() - The first bit that is set, from @i on; @end if none is */
static inline size_t bits_next(const uint64_t *bits, size_t i, size_t end)
{
	while (i < end) {
		uint64_t is = bits[i / BITS] & bits_mask(i % BITS, BITS);

		if (is) {
			i = i / BITS * BITS + (size_t)__builtin_ctzll(is);
			break;
		}
		i = (i / BITS + 1) * BITS;
	}
	return i < end ? i : end;
}

#endif /* FERRY_BITS_H */
