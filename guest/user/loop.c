// SPDX-License-Identifier: MIT
/*
 * loop.c - The loop that every vCPU runs
 */
#include "../area.h"
#include "../call.h"
#include "../console.h"
#include "clock.h"
#include "gap.h"
#include "loop.h"
#include "record.h"
#include "report.h"
#include "stall.h"
#include "visit.h"
#include "worker.h"

#define PARKED_US	200000
#define WAIT_US		2000
#define SCAN_US		250000

static uint32_t work_go;	/* hold is over */
static uint32_t filled;		/* vCPUs whose slice is written */
static uint64_t sweeps_wanted, sweeps_reported;

void loop_go(void)
{
	__atomic_store_n(&work_go, 1, __ATOMIC_RELEASE);
}

bool loop_sweep(void)
{
	if (!work->sweepable)
		return false;
	__atomic_add_fetch(&sweeps_wanted, 1, __ATOMIC_RELEASE);
	return true;
}

static uint64_t work_is_done(const struct cpu *c)
{
	return __atomic_load_n(&worker_of(c)->phase, __ATOMIC_ACQUIRE) ==
	       PHASE_DONE;
}

static uint64_t least_sweeps(void)
{
	uint64_t least = ~0ULL, i;

	for (i = 0; i < options.vcpus; i++) {
		uint64_t n = __atomic_load_n(&workers[i].sweeps,
					     __ATOMIC_ACQUIRE);

		least = n < least ? n : least;
	}
	return least;
}

static void report_sweep(struct cpu *c)
{
	uint64_t n = least_sweeps();

	if (n <= sweeps_reported)
		return;
	sweeps_reported = n;
	line_begin(&c->line, "sweep");
	line_dec(&c->line, "n", n);
	line_dec(&c->line, "pages", area.pages);
	console_print(&c->line);
}

/* What vCPU 0 does in addition to its work */
static void housekeeping(struct cpu *c, void (*poll)(struct cpu *c))
{
	gap_tick(tsc());
	poll(c);
	if (worker_of(c)->phase < PHASE_WORK)
		return;
	report_poll(c);
	if (sweeps_reported != sweeps_wanted)
		report_sweep(c);
	if (worker_sum(work_is_done) == options.vcpus)
		report_finish(c);
}

static void banks_scan(struct cpu *c)
{
	struct worker *w = worker_of(c);
	uint64_t now = tsc();

	if ((int64_t)(now - w->next_scan) < 0)
		return;
	w->next_scan = now + clock_ticks(SCAN_US);
	if (c->banks && vendor_amd)
		call_ring0(CALL_SCAN, 0, 0);
}

static void step_fill(struct cpu *c)
{
	struct worker *w = worker_of(c);
	uint64_t page = w->first + w->pos;

	if (w->pos == w->pages) {
		w->pos = 0;
		__atomic_add_fetch(&filled, 1, __ATOMIC_RELEASE);
		worker_phase_set(c, PHASE_READY);
		return;
	}
	work->write(c, page, visit_begin(c, page));
	visit_end(c);
	w->pos++;
}

static void step_ready(struct cpu *c)
{
	struct worker *w = worker_of(c);
	static bool reported;

	if (__atomic_load_n(&filled, __ATOMIC_ACQUIRE) < options.vcpus) {
		worker_wait(c, tsc() + clock_ticks(WAIT_US));
		return;
	}
	if (!c->index && !reported) {
		reported = true;
		report_ready(c);
	}
	if (!__atomic_load_n(&work_go, __ATOMIC_ACQUIRE)) {
		worker_wait(c, tsc() + clock_ticks(WAIT_US));
		return;
	}
	w->pages = (w->pages + options.part - 1) / options.part;
	if (work->start)
		work->start(c);
	w->due = tsc();
	if (!c->index) {
		report_start();
		gap_start(tsc());
	}
	worker_phase_set(c, PHASE_WORK);
}

static void step_work(struct cpu *c)
{
	struct worker *w = worker_of(c);

	if (w->sweeps != __atomic_load_n(&sweeps_wanted, __ATOMIC_ACQUIRE) &&
	    work->sweepable(c)) {
		w->swept = 0;
		worker_phase_set(c, PHASE_SWEEP);
		return;
	}
	work->step(c);
}

static void step_sweep(struct cpu *c)
{
	struct worker *w = worker_of(c);
	uint64_t page = w->first + w->swept, *va;

	if (w->swept == w->pages) {
		if (w->sweeps != __atomic_load_n(&sweeps_wanted,
						 __ATOMIC_ACQUIRE))
			__atomic_store_n(&w->sweeps, w->sweeps + 1,
					 __ATOMIC_RELEASE);
		if (options.passes && w->pass >= options.passes)
			worker_phase_set(c, PHASE_DONE);
		else
			worker_phase_set(c, PHASE_WORK);
		return;
	}
	va = visit_begin(c, page);
	timed_read(c, va);
	work->check(c, page, va);
	visit_end(c);
	w->swept++;
}

static void worker_step(struct cpu *c)
{
	struct worker *w = worker_of(c);
	uint64_t before = w->touched;

	switch ((enum phase)w->phase) {
	case PHASE_FILL:
		step_fill(c);
		break;
	case PHASE_READY:
		step_ready(c);
		break;
	case PHASE_WORK:
		step_work(c);
		break;
	case PHASE_SWEEP:
		step_sweep(c);
		break;
	case PHASE_DONE:
	case PHASE_PARKED:
		worker_wait(c, tsc() + clock_ticks(PARKED_US));
		break;
	}
	record_visits(w->touched - before);
}

void loop_run(struct cpu *c, void (*poll)(struct cpu *c))
{
	context_save(&c->resume);
	for (;;) {
		visit_recover(c);
		banks_scan(c);
		stall_sync(c);
		if (!c->index)
			housekeeping(c, poll);
		worker_step(c);
	}
}
