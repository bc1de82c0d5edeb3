// SPDX-License-Identifier: MIT
/*
 * work_dirty.c - Writes at a rate: one line of 64 bytes of each page a pass
 *
 * Pages come in a permuted order. Pass g checks one line of a page and writes
 * it with generation g: line (g + page) mod 64, so that after 64 passes every
 * line was rewritten, and what each line holds follows from the pass alone.
 */
#include "../area.h"
#include "clock.h"
#include "pattern.h"
#include "stall.h"
#include "visit.h"
#include "work_dirty.h"

#define LINES		64
#define LINE_WORDS	8
#define LATE_US	100000

static struct run dirty_run(uint64_t page, uint64_t line, uint64_t gen)
{
	return (struct run){ page, gen, line * LINE_WORDS, LINE_WORDS };
}

/* The last pass up to @pass that wrote the line, 0 if none did */
static uint64_t dirty_gen(uint64_t page, uint64_t line, uint64_t pass)
{
	uint64_t age = (pass + page - line) % LINES;

	return pass > age ? pass - age : 0;
}

static void dirty_write(struct cpu *c, uint64_t page, uint64_t *to)
{
	uint64_t line, pass = worker_of(c)->pass;

	for (line = 0; line < LINES; line++) {
		struct run r = dirty_run(page, line,
					 dirty_gen(page, line, pass));

		pattern_write(to, &r);
	}
}

static void dirty_check(struct cpu *c, uint64_t page, const uint64_t *at)
{
	uint64_t line, pass = worker_of(c)->pass;

	for (line = 0; line < LINES; line++) {
		struct run r = dirty_run(page, line,
					 dirty_gen(page, line, pass));

		pattern_check(c, at, &r);
	}
}

/* Within a pass the worker does not know which pages were visited in it */
static bool dirty_sweepable(struct cpu *c)
{
	return !worker_of(c)->pos;
}

static void dirty_start(struct cpu *c)
{
	struct worker *w = worker_of(c);

	order_init(&w->order, w->pages, ORDER_RANDOM);
}

static void dirty_schedule(struct worker *w, uint64_t now)
{
	if (!options.rate)
		return;
	w->due += ticks_per_ms * 1000 / options.rate;
	if ((int64_t)(now - w->due) > (int64_t)clock_ticks(LATE_US))
		w->due = now;
}

static void dirty_step(struct cpu *c)
{
	struct worker *w = worker_of(c);
	uint64_t now = tsc(), gen = w->pass + 1, page, line, *va;
	struct run r;

	if (options.rate && (int64_t)(now - w->due) < 0) {
		worker_wait(c, w->due);
		return;
	}
	page = w->first + w->order.at;
	line = (gen + page) % LINES;
	r = dirty_run(page, line, dirty_gen(page, line, w->pass));
	va = visit_begin(c, page);
	timed_read(c, va + r.from);
	pattern_check(c, va, &r);
	r.gen = gen;
	timed_write(c, va + r.from,
		    pattern_word(pattern_first(area_gpa(page), gen), r.from));
	pattern_write(va, &r);
	visit_end(c);
	dirty_schedule(w, now);
	order_next(&w->order);
	w->touched++;
	if (++w->pos == w->pages)
		worker_pass_done(c);
}

const struct work work_dirty = {
	.name = "dirty",
	.start = dirty_start,
	.step = dirty_step,
	.write = dirty_write,
	.check = dirty_check,
	.sweepable = dirty_sweepable,
};
