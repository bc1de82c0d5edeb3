// SPDX-License-Identifier: MIT
/*
 * pattern.c - Writing and checking pages
 */
#include "../area.h"
#include "../console.h"
#include "pattern.h"
#include "worker.h"

#define BAD_LINES	8	/* per page; "badpage" has the number */

void pattern_write(uint64_t *to, const struct run *r)
{
	uint64_t first = pattern_first(area_gpa(r->page), r->gen);
	uint32_t i;

	for (i = r->from; i < r->from + r->count; i++)
		to[i] = pattern_word(first, i);
}

static void report_bad_word(struct cpu *c, const struct run *r, uint32_t i,
			    uint64_t found)
{
	uint64_t gpa = area_gpa(r->page);
	struct line *l = &c->line;

	line_begin(l, "bad");
	line_hex(l, "addr", gpa + i * sizeof(uint64_t));
	line_dec(l, "word", i);
	line_hex(l, "wanted", pattern_word(pattern_first(gpa, r->gen), i));
	line_hex(l, "found", found);
	line_dec(l, "gen", r->gen);
	line_dec(l, "vcpu", c->index);
	console_print(l);
}

static void __attribute__((noinline))
report_bad_page(struct cpu *c, const uint64_t *at, const struct run *r)
{
	uint64_t gpa = area_gpa(r->page);
	uint64_t first = pattern_first(gpa, r->gen);
	uint32_t i, bad = 0;

	for (i = r->from; i < r->from + r->count; i++) {
		uint64_t found = ((const volatile uint64_t *)at)[i];

		if (found == pattern_word(first, i))
			continue;
		if (bad++ < BAD_LINES)
			report_bad_word(c, r, i, found);
	}
	worker_of(c)->bad += bad;
	line_begin(&c->line, "badpage");
	line_hex(&c->line, "addr", gpa);
	line_dec(&c->line, "words", bad);
	console_print(&c->line);
}

void pattern_check(struct cpu *c, const uint64_t *at, const struct run *r)
{
	uint64_t first = pattern_first(area_gpa(r->page), r->gen);
	uint64_t wrong = 0;
	uint32_t i;

	for (i = r->from; i < r->from + r->count; i++)
		wrong |= at[i] ^ pattern_word(first, i);
	if (!wrong)
		return;
	report_bad_page(c, at, r);
	pattern_write((uint64_t *)at, r);
}
