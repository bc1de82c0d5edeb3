// SPDX-License-Identifier: MIT
/*
 * work_token.c - vCPUs pass a growing value on, each time in another page
 *
 * Hand-over n is in page token_page(n). The vCPU that has turn n finds there a
 * page of generation n, which the previous vCPU has written. It then checks
 * what token_page(n + 1) holds from its last use, writes generation n + 1
 * there, and passes the turn on. Only the vCPU that has the turn accesses the
 * data area.
 */
#include "../area.h"
#include "../ports.h"
#include "clock.h"
#include "pattern.h"
#include "stall.h"
#include "visit.h"
#include "work_token.h"

#define TOKEN_SPIN_US	30
#define TOKEN_SLEEP_US	200

enum { PART_RECEIVE, PART_SEND };

static uint64_t token_turn;		/* n */
static uint64_t token_stride = 1;	/* coprime to the number of pages */

static uint64_t token_page(uint64_t n)
{
	return n % area.pages * token_stride % area.pages;
}

/* The generation of token_page(n) before hand-over n */
static uint64_t token_before(uint64_t n)
{
	return n >= area.pages ? n - area.pages : 0;
}

static void token_write(struct cpu *c, uint64_t page, uint64_t *to)
{
	const struct worker *w = worker_of(c);
	struct run r = run_whole(page, 0);

	if (w->phase != PHASE_FILL)
		r.gen = w->part == PART_RECEIVE ? token_turn :
						  token_before(token_turn + 1);
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

	worker_of(c)->part = PART_RECEIVE;
	if (c->index)
		return;
	while (gcd(s, area.pages) != 1)
		s += 2;
	token_stride = s;
}

static void token_wait(struct cpu *c, uint64_t n)
{
	uint64_t end = tsc() + clock_ticks(TOKEN_SPIN_US);

	while ((int64_t)(tsc() - end) < 0) {
		if (__atomic_load_n(&token_turn, __ATOMIC_ACQUIRE) != n)
			return;
		cpu_pause();
	}
	worker_wait(c, tsc() + clock_ticks(TOKEN_SLEEP_US));
}

static void token_receive(struct cpu *c, uint64_t n)
{
	struct run r = run_whole(token_page(n), n);
	uint64_t *va = visit_begin(c, r.page);

	timed_read(c, va);
	pattern_check(c, va, &r);
	visit_end(c);
	worker_of(c)->part = PART_SEND;
}

static void token_send(struct cpu *c, uint64_t n)
{
	struct worker *w = worker_of(c);
	struct run r = run_whole(token_page(n + 1), token_before(n + 1));
	uint64_t *va = visit_begin(c, r.page);

	timed_read(c, va);
	pattern_check(c, va, &r);
	r.gen = n + 1;
	timed_write(c, va, pattern_first(area_gpa(r.page), r.gen));
	pattern_write(va, &r);
	visit_end(c);
	w->part = PART_RECEIVE;
	w->touched++;
	if (++w->pos == area.pages)
		worker_pass_done(c);
	__atomic_store_n(&token_turn, n + 1, __ATOMIC_RELEASE);
}

static void token_step(struct cpu *c)
{
	uint64_t n = __atomic_load_n(&token_turn, __ATOMIC_ACQUIRE);

	if (n % options.vcpus != c->index)
		token_wait(c, n);
	else if (worker_of(c)->part == PART_RECEIVE)
		token_receive(c, n);
	else
		token_send(c, n);
}

static void token_report(struct line *l)
{
	line_dec(l, "handovers",
		 __atomic_load_n(&token_turn, __ATOMIC_ACQUIRE));
}

const struct work work_token = {
	.name = "token",
	.start = token_start,
	.step = token_step,
	.write = token_write,
	.report = token_report,
};
