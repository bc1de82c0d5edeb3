/* SPDX-License-Identifier: MIT */
/*
 * pattern.h - What a page must hold: a function of its address, its
 * generation, the seed and the word's index
 *
 * The first word of a page mixes address, generation and seed, so old contents,
 * another page's and another guest's differ in every word. The words then
 * advance by an odd constant, so a shifted or torn page is detected as well,
 * and the compiler turns both loops into vector code.
 */
#ifndef GUEST_USER_PATTERN_H
#define GUEST_USER_PATTERN_H

#include "../cpu.h"
#include "options.h"

#define PAGE_WORDS	(PAGE_SIZE / sizeof(uint64_t))

#define PATTERN_STEP	0x9e3779b97f4a7c15ULL

/**
 * pattern_first() - Word 0 of a page
 * @gpa:	its guest physical address
 * @gen:	its generation
 */
static inline uint64_t pattern_first(uint64_t gpa, uint64_t gen)
{
	uint64_t x = gpa * 0xd6e8feb86659fd93ULL ^ options.seed;

	x ^= x >> 32;
	x += gen * 0xa0761d6478bd642fULL;
	x *= 0xe7037ed1a0b428dbULL;
	x ^= x >> 29;
	x *= 0x8ebc6af09c88c6e3ULL;
	return x ^ x >> 32;
}

/**
 * pattern_word() - Any word of a page
 * @first:	pattern_first()
 * @index:	0 to PAGE_WORDS - 1
 */
static inline uint64_t pattern_word(uint64_t first, uint64_t index)
{
	return first + index * PATTERN_STEP;
}

/* A run of words of one page, all of one generation */
struct run {
	uint64_t page, gen;
	uint32_t from, count;		/* words */
};

/**
 * pattern_write() - Write a run of words
 * @to:		start of the page, in the window or fresh
 * @r:		run
 */
void pattern_write(uint64_t *to, const struct run *r);

/**
 * pattern_check() - Check a run of words; report, count and correct wrong ones
 * @c:		this vCPU
 * @at:		start of the page, in the window
 * @r:		run
 *
 * Corrected, so that each wrong word is counted once. Within a visit only.
 */
void pattern_check(struct cpu *c, const uint64_t *at, const struct run *r);

/**
 * run_whole() - The run that is a whole page
 * @page:	page
 * @gen:	generation
 */
static inline struct run run_whole(uint64_t page, uint64_t gen)
{
	return (struct run){ page, gen, 0, PAGE_WORDS };
}

#endif
