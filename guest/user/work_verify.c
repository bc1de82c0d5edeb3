// SPDX-License-Identifier: MIT
/*
 * work_verify.c - Checks and rewrites every word of every page, repeatedly
 *
 * Round g checks that a page holds generation g - 1 and writes g. A page whose
 * position is before pos has been visited in this round.
 */
#include "../area.h"
#include "pattern.h"
#include "stall.h"
#include "visit.h"
#include "work_verify.h"

static uint64_t verify_generation(struct cpu *c, uint64_t page)
{
	const struct worker *w = worker_of(c);

	return w->pass + (page - w->first < w->pos);
}

void verify_write(struct cpu *c, uint64_t page, uint64_t *to)
{
	struct run r = run_whole(page, verify_generation(c, page));

	if (worker_of(c)->phase == PHASE_FILL)
		r.gen = 0;
	pattern_write(to, &r);
}

void verify_check(struct cpu *c, uint64_t page, const uint64_t *at)
{
	struct run r = run_whole(page, verify_generation(c, page));

	pattern_check(c, at, &r);
}

bool verify_sweepable(struct cpu *c)
{
	(void)c;
	return true;
}

void verify_step(struct cpu *c)
{
	struct worker *w = worker_of(c);
	struct run r = run_whole(w->first + w->pos, w->pass);
	uint64_t *va = visit_begin(c, r.page);

	timed_read(c, va);
	pattern_check(c, va, &r);
	r.gen++;
	timed_write(c, va, pattern_first(area_gpa(r.page), r.gen));
	pattern_write(va, &r);
	visit_end(c);
	w->touched++;
	if (++w->pos == w->pages)
		worker_pass_done(c);
}

const struct work work_verify = {
	.name = "verify",
	.step = verify_step,
	.write = verify_write,
	.check = verify_check,
	.sweepable = verify_sweepable,
};
