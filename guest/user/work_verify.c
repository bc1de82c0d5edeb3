// SPDX-License-Identifier: MIT
/*
 * work_verify.c - Every word of every page, over and over
 *
 * Round g checks that a page holds generation g - 1 and writes g. A page whose
 * position is before pos has been visited in this round.
 */
#include "pattern.h"
#include "work.h"

static uint64_t generation(struct cpu *c, uint64_t page)
{
	return c->work.pass + (page - c->work.first < c->work.pos);
}

/**
 * verify_write() - Make a page hold its generation (struct work, write)
 * @c:		vCPU whose page it is
 * @page:	page
 * @to:		memory
 */
void verify_write(struct cpu *c, uint64_t page, uint64_t *to)
{
	struct run r = run_whole(page, generation(c, page));

	if (c->work.phase == PHASE_FILL)
		r.gen = 0;
	pattern_write(to, &r);
}

/**
 * verify_check() - See if a page holds its generation (struct work, check)
 * @c:		vCPU whose page it is
 * @page:	page
 * @at:		where it is
 */
void verify_check(struct cpu *c, uint64_t page, const uint64_t *at)
{
	struct run r = run_whole(page, generation(c, page));

	pattern_check(c, at, &r);
}

/**
 * verify_sweepable() - At any time (struct work, sweepable)
 * @c:		vCPU
 */
bool verify_sweepable(struct cpu *c)
{
	(void)c;
	return true;
}

/**
 * verify_step() - Check the next page, write its next generation
 * @c:		vCPU whose page it is
 */
void verify_step(struct cpu *c)
{
	struct worker *w = &c->work;
	struct run r = run_whole(w->first + w->pos, w->pass);
	uint64_t *va = visit_begin(c, r.page);

	timed_read(c, va);
	pattern_check(c, va, &r);
	r.gen++;
	timed_write(c, va, pattern_first(page_gpa(r.page), r.gen));
	pattern_write(va, &r);
	visit_end(c);
	w->touched++;
	if (++w->pos == w->pages)
		work_pass_done(c);
}

const struct work work_verify = {
	.name = "verify",
	.step = verify_step,
	.write = verify_write,
	.check = verify_check,
	.sweepable = verify_sweepable,
};
