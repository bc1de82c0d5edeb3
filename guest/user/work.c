// SPDX-License-Identifier: MIT
/*
 * work.c - The loop that every vCPU runs
 */
#include "work.h"

#define PARKED_US	200000
#define WAIT_US		2000
#define SPIN_US		100		/* shorter sleeps aren't worth it */
#define SCAN_US		250000

const struct work *const works[WORKS] = {
	[WORK_VERIFY] = &work_verify, [WORK_DIRTY] = &work_dirty,
	[WORK_WALK] = &work_walk, [WORK_IDLE] = &work_idle,
	[WORK_TOKEN] = &work_token,
};

const struct work *work;
uint32_t work_go;
uint64_t sweep_wanted;

static uint32_t filled;		/* vCPUs whose slice is written */
static uint64_t next_report;	/* TSC */
static uint64_t sweeps_told;

/**
 * work_setup() - Share the data area out, before other vCPUs start
 */
void work_setup(void)
{
	uint64_t i, n = options.vcpus;

	work = works[options.work];
	work_go = !options.hold;
	for (i = 0; i < options.cpus; i++) {
		struct worker *w = &cpu_blocks[i].cpu.work;

		w->phase = i < n ? PHASE_FILL : PHASE_PARKED;
		if (i >= n)
			continue;
		w->first = area.pages * i / n;
		w->pages = area.pages * (i + 1) / n - w->first;
	}
}

/**
 * work_sum() - Add up a number over the vCPUs
 * @value:	takes it from one
 */
uint64_t work_sum(uint64_t (*value)(struct cpu *))
{
	uint64_t sum = 0, i;

	for (i = 0; i < options.cpus; i++)
		sum += value(&cpu_blocks[i].cpu);
	return sum;
}

/**
 * work_wait() - Do nothing until a time, but not so long as to miss a command
 * @c:		this vCPU
 * @deadline:	TSC
 *
 * May return early, even at once: the caller's step is called again.
 */
void work_wait(struct cpu *c, uint64_t deadline)
{
	uint64_t until = deadline, now = tsc();

	if (!c->index && (int64_t)(command_deadline() - until) < 0)
		until = command_deadline();
	if ((int64_t)(until - now) < (int64_t)clock_ticks(SPIN_US)) {
		pause();
		return;
	}
	if (!c->index)
		gap_tick(now);
	halt_until(until);
	now = tsc();
	if (!c->index)
		gap_tick((int64_t)(until - now) < 0 ? until : now);
}

static void phase_set(struct cpu *c, enum phase p)
{
	__atomic_store_n(&c->work.phase, p, __ATOMIC_RELEASE);
}

/**
 * work_pass_done() - A pass is complete; after the last one, check everything
 * @c:		this vCPU
 */
void work_pass_done(struct cpu *c)
{
	struct worker *w = &c->work;

	w->pos = 0;
	w->pass++;
	if (!options.passes || w->pass < options.passes)
		return;
	w->swept = 0;
	phase_set(c, work->check ? PHASE_SWEEP : PHASE_DONE);
}

static uint64_t phase_done_of(struct cpu *c)
{
	return __atomic_load_n(&c->work.phase, __ATOMIC_ACQUIRE) == PHASE_DONE;
}

static uint64_t least_sweeps(void)
{
	uint64_t least = ~0ULL, i;

	for (i = 0; i < options.vcpus; i++) {
		uint64_t n = __atomic_load_n(&cpu_blocks[i].cpu.work.sweeps,
					     __ATOMIC_ACQUIRE);

		least = n < least ? n : least;
	}
	return least;
}

/**
 * work_finish() - Final report and verdict, and the end
 * @c:		vCPU 0
 */
void work_finish(struct cpu *c)
{
	report_print(c);
	debug_exit(report_verdict(c) ? EXIT_CLEAN : EXIT_UNCLEAN);
}

static void tell_sweep(struct cpu *c)
{
	uint64_t n = least_sweeps();

	if (n <= sweeps_told)
		return;
	sweeps_told = n;
	line_begin(&c->line, "sweep");
	line_dec(&c->line, "n", n);
	line_dec(&c->line, "pages", area.pages);
	line_end(&c->line);
}

/* What vCPU 0 does besides its work */
static void housekeeping(struct cpu *c)
{
	uint64_t now = tsc();

	gap_tick(now);
	command_poll(c);
	if (c->work.phase < PHASE_WORK)
		return;
	if ((int64_t)(now - next_report) >= 0) {
		report_print(c);
		next_report = tsc() + options.interval_ms * ticks_per_ms;
		gap_skip(tsc());
	}
	if (sweeps_told != sweep_wanted)
		tell_sweep(c);
	if (work_sum(phase_done_of) == options.vcpus)
		work_finish(c);
}

static void scan_banks(struct cpu *c)
{
	uint64_t now = tsc();

	if ((int64_t)(now - c->work.next_scan) < 0)
		return;
	c->work.next_scan = now + clock_ticks(SCAN_US);
	if (c->banks && vendor_amd)
		call_ring0(CALL_SCAN, 0, 0);
}

static void step_fill(struct cpu *c)
{
	struct worker *w = &c->work;
	uint64_t page = w->first + w->pos;

	if (w->pos == w->pages) {
		w->pos = 0;
		__atomic_add_fetch(&filled, 1, __ATOMIC_RELEASE);
		phase_set(c, PHASE_READY);
		return;
	}
	work->write(c, page, visit_begin(c, page));
	visit_end(c);
	w->pos++;
}

static void step_ready(struct cpu *c)
{
	static bool told;

	if (__atomic_load_n(&filled, __ATOMIC_ACQUIRE) < options.vcpus) {
		work_wait(c, tsc() + clock_ticks(WAIT_US));
		return;
	}
	if (!c->index && !told) {
		told = true;
		report_ready(c);
	}
	if (!__atomic_load_n(&work_go, __ATOMIC_ACQUIRE)) {
		work_wait(c, tsc() + clock_ticks(WAIT_US));
		return;
	}
	if (work->start)
		work->start(c);
	c->work.due = tsc();
	if (!c->index) {
		next_report = tsc() + options.interval_ms * ticks_per_ms;
		gap_start(tsc());
	}
	phase_set(c, PHASE_WORK);
}

static void step_work(struct cpu *c)
{
	struct worker *w = &c->work;

	if (w->sweeps != __atomic_load_n(&sweep_wanted, __ATOMIC_ACQUIRE) &&
	    work->sweepable(c)) {
		w->swept = 0;
		phase_set(c, PHASE_SWEEP);
		return;
	}
	work->step(c);
}

static void step_sweep(struct cpu *c)
{
	struct worker *w = &c->work;
	uint64_t page = w->first + w->swept, *va;

	if (w->swept == w->pages) {
		if (w->sweeps != __atomic_load_n(&sweep_wanted,
						 __ATOMIC_ACQUIRE))
			__atomic_store_n(&w->sweeps, w->sweeps + 1,
					 __ATOMIC_RELEASE);
		phase_set(c, options.passes && w->pass >= options.passes ?
			     PHASE_DONE : PHASE_WORK);
		return;
	}
	va = visit_begin(c, page);
	timed_read(c, va);
	work->check(c, page, va);
	visit_end(c);
	w->swept++;
}

static void step(struct cpu *c)
{
	switch ((enum phase)c->work.phase) {
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
		work_wait(c, tsc() + clock_ticks(PARKED_US));
		break;
	}
}

/**
 * work_loop() - All that a vCPU does once it is up
 * @c:		this vCPU
 *
 * A machine check in a visit comes back to the top (work.h).
 */
void work_loop(struct cpu *c)
{
	context_save(&c->resume);
	for (;;) {
		visit_recover(c);
		scan_banks(c);
		stall_sync(c);
		if (!c->index)
			housekeeping(c);
		step(c);
	}
}
