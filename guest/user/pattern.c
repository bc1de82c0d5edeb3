// SPDX-License-Identifier: MIT
/*
 * pattern.c - Writing and checking pages
 */
#include "pattern.h"
#include "work.h"

#define BAD_LINES	8	/* per page; a last line gives the number */

/**
 * pattern_write() - Write a run of words
 * @to:		start of the page, in the window or fresh
 * @r:		run
 */
void pattern_write(uint64_t *to, const struct run *r)
{
	uint64_t first = pattern_first(page_gpa(r->page), r->gen);
	uint32_t i;

	for (i = r->from; i < r->from + r->count; i++)
		to[i] = pattern_word(first, i);
}

static void bad_word(struct cpu *c, const struct run *r, uint32_t i,
		     uint64_t found)
{
	uint64_t gpa = page_gpa(r->page);
	struct line *l = &c->line;

	line_begin(l, "bad");
	line_hex(l, "addr", gpa + i * sizeof(uint64_t));
	line_dec(l, "word", i);
	line_hex(l, "wanted", pattern_word(pattern_first(gpa, r->gen), i));
	line_hex(l, "found", found);
	line_dec(l, "gen", r->gen);
	line_dec(l, "vcpu", c->index);
	line_end(l);
}

static void __attribute__((noinline))
report_bad(struct cpu *c, const uint64_t *at, const struct run *r)
{
	uint64_t gpa = page_gpa(r->page);
	uint64_t first = pattern_first(gpa, r->gen);
	uint32_t i, bad = 0;

	for (i = r->from; i < r->from + r->count; i++) {
		uint64_t found = ((const volatile uint64_t *)at)[i];

		if (found == pattern_word(first, i))
			continue;
		if (bad++ < BAD_LINES)
			bad_word(c, r, i, found);
	}
	c->work.bad += bad;
	line_begin(&c->line, "badpage");
	line_hex(&c->line, "addr", gpa);
	line_dec(&c->line, "words", bad);
	line_end(&c->line);
}

/**
 * pattern_check() - Check a run of words; report, count, and mend wrong ones
 * @c:		this vCPU
 * @at:		start of the page, in the window
 * @r:		run
 *
 * Mended, so that each wrong word is counted once. Within a visit only.
 */
void pattern_check(struct cpu *c, const uint64_t *at, const struct run *r)
{
	uint64_t first = pattern_first(page_gpa(r->page), r->gen);
	uint64_t wrong = 0;
	uint32_t i;

	for (i = r->from; i < r->from + r->count; i++)
		wrong |= at[i] ^ pattern_word(first, i);
	if (!wrong)
		return;
	report_bad(c, at, r);
	pattern_write((uint64_t *)at, r);
}
