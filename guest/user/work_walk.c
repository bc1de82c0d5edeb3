// SPDX-License-Identifier: MIT
/*
 * work_walk.c - Reads one word of each page, in one of three orders
 *
 * The pages stay at generation 0. With share=1 every vCPU walks all of the
 * data area, not only its slice, so that several may wait for one page.
 */
#include "../area.h"
#include "pattern.h"
#include "stall.h"
#include "visit.h"
#include "work_walk.h"

static void walk_write(struct cpu *c, uint64_t page, uint64_t *to)
{
	struct run r = run_whole(page, 0);

	(void)c;
	pattern_write(to, &r);
}

static void walk_check(struct cpu *c, uint64_t page, const uint64_t *at)
{
	struct run r = run_whole(page, 0);

	pattern_check(c, at, &r);
}

static bool walk_sweepable(struct cpu *c)
{
	(void)c;
	return true;
}

static void walk_start(struct cpu *c)
{
	struct worker *w = worker_of(c);

	if (options.share) {
		w->first = 0;
		w->pages = area.pages;
	}
	order_init(&w->order, w->pages, options.order);
}

static void walk_step(struct cpu *c)
{
	struct worker *w = worker_of(c);
	uint64_t page = w->first + w->order.at;
	uint32_t word = (w->pass * 7 + page) % PAGE_WORDS;
	struct run r = { page, 0, word, 1 };
	uint64_t *va = visit_begin(c, page);

	timed_read(c, va + word);
	pattern_check(c, va, &r);
	visit_end(c);
	order_next(&w->order);
	w->touched++;
	if (++w->pos == w->pages)
		worker_pass_done(c);
}

const struct work work_walk = {
	.name = "walk",
	.start = walk_start,
	.step = walk_step,
	.write = walk_write,
	.check = walk_check,
	.sweepable = walk_sweepable,
};
