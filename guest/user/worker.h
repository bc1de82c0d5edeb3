/* SPDX-License-Identifier: MIT */
/*
 * worker.h - A vCPU's part of the workload, and the interface of a workload
 *
 * Theory of operation: each vCPU runs loop_run() (loop.h). One turn of it
 * executes one step of the workload, which visits one page:
 *
 *	va = visit_begin(c, page);	from here a machine check for this page
 *	...				ends the step: context_resume() goes to
 *	visit_end(c);			the top of the loop
 *
 * A step keeps its state in struct worker, and changes it only after
 * visit_end(). When a page is lost at any point of the step, the loop replaces
 * it with what it must hold *before* the visit (write), and the same step runs
 * again from its start: it finds the page right, and nothing is lost or
 * counted twice.
 */
#ifndef GUEST_USER_WORKER_H
#define GUEST_USER_WORKER_H

#include "../cpu.h"
#include "order.h"

enum phase {
	PHASE_FILL,		/* writes its slice for the first time */
	PHASE_READY,		/* waits for the other vCPUs, or for "go" */
	PHASE_WORK,
	PHASE_SWEEP,		/* checks every page whole */
	PHASE_DONE,		/* has made all passes */
	PHASE_PARKED,		/* not one of the vcpus= that take part */
};

/**
 * struct worker - One vCPU's part of the workload; only that vCPU writes it
 * @phase:	enum phase
 * @part:	token: which half of a hand-over
 * @first:	first page of its slice
 * @pages:	pages of its slice
 * @pos:	visits made in this pass
 * @pass:	passes completed
 * @touched:	pages visited since the start
 * @bad:	wrong words seen
 * @due:	TSC of the next visit
 * @wakes:	idle, talk: wake-ups
 * @late_max:	idle: TSC ticks; vCPU 0 resets it
 * @sweeps:	sweeps made
 * @swept:	pages checked in the current sweep
 * @next_scan:	TSC of the next look at the machine-check banks
 * @expected:	"expect" named the page of the current visit
 * @order:	order of visits
 */
struct worker {
	uint32_t phase;
	uint32_t part;
	uint64_t first, pages;
	uint64_t pos, pass;
	uint64_t touched, bad;
	uint64_t due;
	uint64_t wakes, late_max;
	uint64_t sweeps, swept;
	uint64_t next_scan;
	bool expected;
	struct order order;
} __attribute__((aligned(64)));

/**
 * struct work - A workload
 * @name:	as in work=
 * @start:	called on each vCPU when work begins, or NULL
 * @step:	visits the next page, or waits until it is due
 * @write:	writes all that a page must hold now to @to
 * @check:	checks that a page holds it, whole; reports and counts wrong
 *		words. NULL when no vCPU knows it
 * @sweepable:	may check be called now for any page of the vCPU's slice?
 * @report:	appends keys to the report line, or NULL
 */
struct work {
	const char *name;
	void (*start)(struct cpu *c);
	void (*step)(struct cpu *c);
	void (*write)(struct cpu *c, uint64_t page, uint64_t *to);
	void (*check)(struct cpu *c, uint64_t page, const uint64_t *at);
	bool (*sweepable)(struct cpu *c);
	void (*report)(struct line *l);
};

extern struct worker workers[CPUS_MAX];
extern const struct work *work;		/* the chosen one */

static inline struct worker *worker_of(const struct cpu *c)
{
	return &workers[c->index];
}

/**
 * worker_setup() - Divide the data area among the vCPUs, before they start
 */
void worker_setup(void);

/**
 * worker_phase_set() - Enter a phase
 * @c:		this vCPU
 * @p:		phase
 */
void worker_phase_set(struct cpu *c, enum phase p);

/**
 * worker_pass_done() - End a pass; after the last one, check every page
 * @c:		this vCPU
 */
void worker_pass_done(struct cpu *c);

/**
 * worker_wait() - Sleep until a time; vCPU 0 only until its next poll for input
 * @c:		this vCPU
 * @deadline:	TSC
 *
 * May return early, even at once: the caller's step runs again.
 */
void worker_wait(struct cpu *c, uint64_t deadline);

/**
 * worker_sum() - Add up a number over the vCPUs
 * @value:	returns it for one vCPU
 */
uint64_t worker_sum(uint64_t (*value)(const struct cpu *c));

#endif
