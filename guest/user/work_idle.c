// SPDX-License-Identifier: MIT
/*
 * work_idle.c - Sleeps, and is woken by the timer
 *
 * At each wake-up it does for one page what verify does for all, so a page
 * lost or mixed up while the machine sleeps is found too.
 */
#include "work.h"

static void idle_step(struct cpu *c)
{
	struct worker *w = &c->work;
	uint64_t now = tsc(), late;

	if ((int64_t)(now - w->due) < 0) {
		work_wait(c, w->due);
		return;
	}
	verify_step(c);
	late = now - w->due;
	w->wakes++;
	if (late > __atomic_load_n(&w->late_max, __ATOMIC_RELAXED))
		__atomic_store_n(&w->late_max, late, __ATOMIC_RELAXED);
	w->due = now + clock_ticks(options.period_us);
}

static uint64_t wakes_of(struct cpu *c)
{
	return c->work.wakes;
}

static void idle_report(struct line *l)
{
	uint64_t late = 0, v, i;

	for (i = 0; i < options.vcpus; i++) {
		v = __atomic_exchange_n(&cpu_blocks[i].cpu.work.late_max, 0,
					__ATOMIC_RELAXED);
		late = v > late ? v : late;
	}
	line_dec(l, "wakes", work_sum(wakes_of));
	line_dec(l, "late_max_us", clock_us(late));
}

const struct work work_idle = {
	.name = "idle",
	.step = idle_step,
	.write = verify_write,
	.check = verify_check,
	.sweepable = verify_sweepable,
	.report = idle_report,
};
