// SPDX-License-Identifier: MIT
/*
 * work_idle.c - Sleeps until the timer wakes it
 *
 * At each wake-up it does one step of work=verify, so a page that is lost or
 * exchanged while the machine sleeps is detected, too.
 */
#include "clock.h"
#include "work_idle.h"
#include "work_verify.h"

static void idle_step(struct cpu *c)
{
	struct worker *w = worker_of(c);
	uint64_t now = tsc(), late;

	if ((int64_t)(now - w->due) < 0) {
		worker_wait(c, w->due);
		return;
	}
	verify_step(c);
	late = now - w->due;
	w->wakes++;
	if (late > __atomic_load_n(&w->late_max, __ATOMIC_RELAXED))
		__atomic_store_n(&w->late_max, late, __ATOMIC_RELAXED);
	w->due = now + clock_ticks(options.period_us);
}

static uint64_t idle_wakes(const struct cpu *c)
{
	return worker_of(c)->wakes;
}

static void idle_report(struct line *l)
{
	uint64_t late = 0, v, i;

	for (i = 0; i < options.vcpus; i++) {
		v = __atomic_exchange_n(&workers[i].late_max, 0,
					__ATOMIC_RELAXED);
		late = v > late ? v : late;
	}
	line_dec(l, "wakes", worker_sum(idle_wakes));
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
