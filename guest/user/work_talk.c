// SPDX-License-Identifier: MIT
/*
 * work_talk.c - Every vCPU prints a line at an interval, without being asked
 *
 * It shows when a vCPU runs that must not: each vCPU that is entered prints
 * within period_us, and after the fill it needs no page of the data area.
 */
#include "../console.h"
#include "clock.h"
#include "work_talk.h"
#include "work_verify.h"

static void talk_step(struct cpu *c)
{
	struct worker *w = worker_of(c);
	uint64_t now = tsc();

	if ((int64_t)(now - w->due) < 0) {
		worker_wait(c, w->due);
		return;
	}
	line_begin(&c->line, "talk");
	line_dec(&c->line, "vcpu", c->index);
	line_dec(&c->line, "n", w->wakes++);
	line_dec(&c->line, "t_us", clock_now_us());
	console_print(&c->line);
	w->due = tsc() + clock_ticks(options.period_us);
}

const struct work work_talk = {
	.name = "talk",
	.step = talk_step,
	.write = verify_write,
	.check = verify_check,
	.sweepable = verify_sweepable,
};
