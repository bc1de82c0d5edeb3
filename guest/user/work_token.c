// SPDX-License-Identifier: MIT
/*
 * work_token.c - vCPUs hand a growing value around, each time in another page
 *
 * Hand-over n is in page place(n): the vCPU that has turn n finds there a page
 * of generation n, written by the one before it; writes generation n + 1 into
 * place(n + 1), after checking what that holds from its last use; and passes
 * the turn on. At any time only the holder of the turn touches the data area.
 */
#include "pattern.h"
#include "work.h"

#define SPIN_US		30
#define SLEEP_US	200

enum { PART_RECEIVE, PART_SEND };

static uint64_t turn;		/* n */
static uint64_t stride = 1;	/* coprime to the number of pages */

static uint64_t place(uint64_t n)
{
	return n % area.pages * stride % area.pages;
}

/* What place(n) holds before hand-over n is written to it */
static uint64_t before(uint64_t n)
{
	return n >= area.pages ? n - area.pages : 0;
}

static void token_write(struct cpu *c, uint64_t page, uint64_t *to)
{
	struct run r = run_whole(page, 0);

	if (c->work.phase != PHASE_FILL)
		r.gen = c->work.part == PART_RECEIVE ? turn :
						       before(turn + 1);
	pattern_write(to, &r);
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t t = a % b;

		a = b;
		b = t;
	}
	return a;
}

static void token_start(struct cpu *c)
{
	uint64_t s = area.pages * 5 / 8 | 1;

	c->work.part = PART_RECEIVE;
	if (c->index)
		return;
	while (gcd(s, area.pages) != 1)
		s += 2;
	stride = s;
}

static void token_wait(struct cpu *c, uint64_t n)
{
	uint64_t end = tsc() + clock_ticks(SPIN_US);

	while ((int64_t)(tsc() - end) < 0) {
		if (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != n)
			return;
		pause();
	}
	work_wait(c, tsc() + clock_ticks(SLEEP_US));
}

static void receive(struct cpu *c, uint64_t n)
{
	struct run r = run_whole(place(n), n);
	uint64_t *va = visit_begin(c, r.page);

	timed_read(c, va);
	pattern_check(c, va, &r);
	visit_end(c);
	c->work.part = PART_SEND;
}

static void send(struct cpu *c, uint64_t n)
{
	struct worker *w = &c->work;
	struct run r = run_whole(place(n + 1), before(n + 1));
	uint64_t *va = visit_begin(c, r.page);

	timed_read(c, va);
	pattern_check(c, va, &r);
	r.gen = n + 1;
	timed_write(c, va, pattern_first(page_gpa(r.page), r.gen));
	pattern_write(va, &r);
	visit_end(c);
	w->part = PART_RECEIVE;
	w->touched++;
	if (++w->pos == area.pages)
		work_pass_done(c);
	__atomic_store_n(&turn, n + 1, __ATOMIC_RELEASE);
}

static void token_step(struct cpu *c)
{
	uint64_t n = __atomic_load_n(&turn, __ATOMIC_ACQUIRE);

	if (n % options.vcpus != c->index)
		token_wait(c, n);
	else if (c->work.part == PART_RECEIVE)
		receive(c, n);
	else
		send(c, n);
}

static void token_report(struct line *l)
{
	line_dec(l, "handovers", __atomic_load_n(&turn, __ATOMIC_ACQUIRE));
}

const struct work work_token = {
	.name = "token",
	.start = token_start,
	.step = token_step,
	.write = token_write,
	.report = token_report,
};
