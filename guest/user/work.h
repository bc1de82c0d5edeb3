/* SPDX-License-Identifier: MIT */
/*
 * work.h - Ring 3: workloads, and what becomes of their pages
 *
 * Theory of operation: each vCPU runs work_loop(). One turn of it does some
 * housekeeping and one step of the workload, which visits one page:
 *
 *	va = visit_begin(c, page);	from here a machine check for this page
 *	...				ends the step: context_resume() goes to
 *	visit_end(c);			the top of the loop
 *
 * All that a step knows is kept in struct worker and changes only after
 * visit_end(). So when a page is lost, at whatever point of the step, the loop
 * has it made again with what it must hold *before* the visit (write), and the
 * same step runs again from its start: it finds the page right, and nothing is
 * lost or counted twice.
 */
#ifndef GUEST_WORK_H
#define GUEST_WORK_H

#include "user.h"

/**
 * struct work - A workload
 * @name:	as in work=
 * @start:	called on each vCPU when work begins, or NULL
 * @step:	visit the next page, or find that it is not time yet
 * @write:	make a page hold all that it must hold now, at @to
 * @check:	see if it does, whole; reports and counts what is wrong
 * @sweepable:	may check be called now for any page of the vCPU's?
 * @report:	append keys to the report line, or NULL
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

enum { WORK_VERIFY, WORK_DIRTY, WORK_WALK, WORK_IDLE, WORK_TOKEN, WORKS };

extern const struct work work_verify, work_dirty, work_walk, work_idle;
extern const struct work work_token;
extern const struct work *const works[WORKS];
extern const struct work *work;		/* the chosen one */
extern uint32_t work_go;		/* hold is over */
extern uint64_t sweep_wanted;		/* number of sweeps asked for */

/* work.c */
void work_loop(struct cpu *c) __attribute__((noreturn));
void work_setup(void);
void work_pass_done(struct cpu *c);
void work_wait(struct cpu *c, uint64_t deadline);
uint64_t work_sum(uint64_t (*value)(struct cpu *));
void work_finish(struct cpu *c) __attribute__((noreturn));

/* work_verify.c, also for work_idle.c */
void verify_step(struct cpu *c);
void verify_write(struct cpu *c, uint64_t page, uint64_t *to);
void verify_check(struct cpu *c, uint64_t page, const uint64_t *at);
bool verify_sweepable(struct cpu *c);

/* visit.c: visits, and pages lost */
uint64_t *visit_begin(struct cpu *c, uint64_t page);
void visit_end(struct cpu *c);
void visit_recover(struct cpu *c);

/* special.c: pages about which there is something to remember */
enum {
	PAGE_EXPECTED = 1,	/* "expect" named it */
	PAGE_SEEN = 2,		/* a machine check named it */
	PAGE_MARKED = 4,	/* to be retired before the next visit */
	PAGE_RETIRED = 8,
	PAGE_READABLE = 16,	/* expected, yet it could be read */
};
uint32_t special_get(uint64_t gpa);
bool special_set(uint64_t gpa, uint32_t flags);
uint64_t special_count(uint32_t mask, uint32_t flags);

/* report.c */
void report_print(struct cpu *c);
void report_ready(struct cpu *c);
void report_boot(struct cpu *c, bool fdt);
bool report_verdict(struct cpu *c);
void report_unaddressed(void);
void gap_start(uint64_t now);
void gap_skip(uint64_t now);
void gap_tick(uint64_t now);

/* stall.c */
void stall_init(void);
void stall_add(struct cpu *c, uint64_t ticks);
void stall_sync(struct cpu *c);
void stall_mark(void);
void stall_report(struct line *l);
void stall_fine(struct line *l);
extern uint64_t stall_threshold;

/* command.c */
void command_poll(struct cpu *c);
uint64_t command_deadline(void);

/* order.c */
void order_init(struct order *o, uint64_t n, enum order_kind kind);
uint64_t order_next(struct order *o);

/**
 * timed_read() - Read a word, and count it as a stall if it takes long
 * @c:		this vCPU
 * @p:		word
 */
static inline uint64_t timed_read(struct cpu *c, const volatile uint64_t *p)
{
	uint64_t start = tsc_after(), v = *p, took = tsc_after() - start;

	if (took >= stall_threshold)
		stall_add(c, took);
	return v;
}

/**
 * timed_write() - Write a word, likewise
 * @c:		this vCPU
 * @p:		word
 * @v:		value
 */
static inline void timed_write(struct cpu *c, volatile uint64_t *p, uint64_t v)
{
	uint64_t start = tsc(), took;

	*p = v;
	asm volatile("mfence" : : : "memory");
	took = tsc() - start;
	if (took >= stall_threshold)
		stall_add(c, took);
}

#endif
