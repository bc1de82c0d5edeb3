// SPDX-License-Identifier: MIT
/*
 * worker.c - A vCPU's part of the workload
 */
#include "../area.h"
#include "../ports.h"
#include "clock.h"
#include "gap.h"
#include "input.h"
#include "lapic.h"
#include "worker.h"

#define SPIN_US		100	/* a shorter sleep is not worth an exit */

struct worker workers[CPUS_MAX];
const struct work *work;

void worker_setup(void)
{
	uint64_t i, n = options.vcpus;

	for (i = 0; i < options.cpus; i++) {
		struct worker *w = &workers[i];

		w->phase = i < n ? PHASE_FILL : PHASE_PARKED;
		if (i >= n)
			continue;
		w->first = area.pages * i / n;
		w->pages = area.pages * (i + 1) / n - w->first;
	}
}

void worker_phase_set(struct cpu *c, enum phase p)
{
	__atomic_store_n(&worker_of(c)->phase, p, __ATOMIC_RELEASE);
}

void worker_pass_done(struct cpu *c)
{
	struct worker *w = worker_of(c);

	w->pos = 0;
	w->pass++;
	if (!options.passes || w->pass < options.passes)
		return;
	w->swept = 0;
	worker_phase_set(c, work->check ? PHASE_SWEEP : PHASE_DONE);
}

void worker_wait(struct cpu *c, uint64_t deadline)
{
	uint64_t until = deadline, now = tsc();

	if (!c->index && (int64_t)(input_deadline() - until) < 0)
		until = input_deadline();
	if ((int64_t)(until - now) < (int64_t)clock_ticks(SPIN_US)) {
		cpu_pause();
		return;
	}
	if (!c->index)
		gap_tick(now);
	halt_until(until);
	now = tsc();
	if (!c->index)
		gap_tick((int64_t)(until - now) < 0 ? until : now);
}

uint64_t worker_sum(uint64_t (*value)(const struct cpu *c))
{
	uint64_t sum = 0, i;

	for (i = 0; i < options.cpus; i++)
		sum += value(&cpu_blocks[i].cpu);
	return sum;
}
