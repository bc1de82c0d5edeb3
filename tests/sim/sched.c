// SPDX-License-Identifier: MIT
/* sched.c - Threads as coroutines, under a scheduler and a clock of the seed */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched.h"
#include "switch.h"

#define CO_MAX		96
#define STACK_BYTES	(256u << 10)
#define NAME_MAX_LEN	24
#define TRACE_LINES	8192
#define TRACE_TEXT	200
#define TURN_NS		400	/* a turn costs up to this */

enum co_state { CO_FREE, CO_READY, CO_WAITS, CO_ENDED };

struct co {
	struct context at;
	bool has_stack;
	enum co_state state;
	unsigned id, rank;
	enum side side;
	char name[NAME_MAX_LEN];
	void *(*fn)(void *);
	void *arg, *result;
	bool detached, timed_out;
	const void *on;
	const char *what;
	uint64_t deadline;
	int saved_errno;
};

/* How a seed chooses the next coroutine */
enum policy { POLICY_RANDOM, POLICY_RANKED, POLICIES };

static struct {
	struct co co[CO_MAX];
	unsigned used, ids;
	struct co *self, *last;
	struct context main;
	uint64_t now, random, turns;
	enum policy policy;
	unsigned point_odds;
	bool failed, tracing;
	char failure[TRACE_TEXT];
	char (*trace)[TRACE_TEXT];
	unsigned traced;
} S;

/* ---- Random numbers: splitmix64 ---- */

uint64_t sim_random(void)
{
	uint64_t z = S.random += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t sim_below(uint64_t n)
{
	return sim_random() % n;
}

bool sim_chance(unsigned n)
{
	return !sim_below(n);
}

uint64_t sim_log(uint64_t n)
{
	unsigned bits = 1;

	while (bits < 63 && 1ull << bits < n)
		bits++;
	return sim_below(1ull << (1 + sim_below(bits))) % (n + 1);
}

/* ---- Reports ---- */

static const char *side_name(enum side side)
{
	static const char *const name[SIDES] = { "-", "S", "D" };

	return name[side];
}

void sim_set_trace(bool on)
{
	S.tracing = on;
	if (on && !S.trace)
		S.trace = calloc(TRACE_LINES, TRACE_TEXT);
}

static void record_event(const char *fmt, va_list ap)
{
	char *line = S.trace[S.traced++ % TRACE_LINES];
	int n = snprintf(line, TRACE_TEXT, "%12.3f us  %s %-10s ",
			 (double)S.now / 1000,
			 side_name(sched_side()),
			 S.self ? S.self->name : "scheduler");

	vsnprintf(line + n, TRACE_TEXT - (size_t)n, fmt, ap);
}

void sim_trace(const char *fmt, ...)
{
	va_list ap;

	if (!S.tracing || !S.trace)
		return;
	va_start(ap, fmt);
	record_event(fmt, ap);
	va_end(ap);
}

void sim_print_trace(unsigned n)
{
	unsigned from = S.traced > n ? S.traced - n : 0;

	if (S.traced > TRACE_LINES && from < S.traced - TRACE_LINES)
		from = S.traced - TRACE_LINES;
	for (; S.trace && from < S.traced; from++)
		printf("%s\n", S.trace[from % TRACE_LINES]);
}

void sim_fail(const char *fmt, ...)
{
	va_list ap;

	if (S.failed)
		return;
	S.failed = true;
	va_start(ap, fmt);
	vsnprintf(S.failure, sizeof(S.failure), fmt, ap);
	va_end(ap);
	sim_trace("FAILED: %s", S.failure);
}

bool sim_failed(void)
{
	return S.failed;
}

const char *sim_failure(void)
{
	return S.failed ? S.failure : NULL;
}

/* ---- Coroutines ---- */

void sched_begin(uint64_t seed)
{
	S.used = S.ids = 0;
	S.self = S.last = NULL;
	S.now = 0;
	S.turns = 0;
	S.random = seed * 0x2545f4914f6cdd1dull + 1;
	S.failed = false;
	S.traced = 0;
	S.policy = (enum policy)sim_below(POLICIES);
	S.point_odds = 1u << sim_below(7);
}

void sched_end(void)
{
	for (unsigned i = 0; i < CO_MAX; i++)
		S.co[i].state = CO_FREE;
	S.self = NULL;
}

uint64_t sched_digest(void)
{
	return S.random ^ S.now ^ S.turns << 32;
}

uint64_t sched_now(void)
{
	return S.now;
}

struct co *sched_self(void)
{
	return S.self;
}

enum side sched_side(void)
{
	return S.self ? S.self->side : SIDE_NONE;
}

unsigned sched_id(const struct co *c)
{
	return c->id;
}

struct co *sched_by_id(unsigned id)
{
	for (unsigned i = 0; i < S.used; i++)
		if (S.co[i].state != CO_FREE && S.co[i].id == id)
			return &S.co[i];
	return NULL;
}

static void leave_co(struct co *c)
{
	c->saved_errno = errno;
	context_switch(&c->at, &S.main);
	errno = c->saved_errno;
}

static void co_main(void)
{
	struct co *c = S.self;

	context_entered(&c->at);
	c->result = c->fn(c->arg);
	c->state = c->detached ? CO_FREE : CO_ENDED;
	sched_wake(c, true);
	for (;;)
		context_switch(&c->at, &S.main);
}

struct co *sched_spawn(void *(*fn)(void *), void *arg, enum side side,
		       const char *name)
{
	struct co *c = S.co;

	while (c < S.co + CO_MAX && c->state != CO_FREE)
		c++;
	if (c == S.co + CO_MAX)
		return NULL;
	if (c >= S.co + S.used)
		S.used = (unsigned)(c - S.co) + 1;
	if (!c->has_stack)
		c->has_stack = context_stack(&c->at, STACK_BYTES);
	if (!c->has_stack)
		return NULL;
	*c = (struct co){
		.at = c->at, .has_stack = true, .state = CO_READY,
		.id = ++S.ids, .side = side, .fn = fn, .arg = arg,
		.deadline = NEVER, .rank = (unsigned)sim_below(1000),
	};
	sched_name(c, name);
	context_prepare(&c->at, co_main);
	return c;
}

void sched_name(struct co *c, const char *name)
{
	snprintf(c->name, sizeof(c->name), "%.14s/%u", name, c->id);
}

void sched_join(struct co *c, void **result)
{
	while (c->state != CO_ENDED)
		sched_wait(c, "a thread's end", NEVER);
	if (result)
		*result = c->result;
	c->state = CO_FREE;
}

void sched_detach(struct co *c)
{
	c->detached = true;
	if (c->state == CO_ENDED)
		c->state = CO_FREE;
}

void sched_kill(enum side side)
{
	for (unsigned i = 0; i < S.used; i++)
		if (&S.co[i] != S.self && S.co[i].side == side)
			S.co[i].state = CO_FREE;
}

void sched_delay(uint64_t ns)
{
	struct co *c = S.last;

	if (!c || c->state != CO_READY)
		return;
	c->state = CO_WAITS;
	c->on = NULL;
	c->what = "its turn";
	c->deadline = S.now + ns;
}

void sched_switch_often(void)
{
	S.point_odds = 1;
}

void sched_relabel(enum side from, enum side to)
{
	for (unsigned i = 0; i < S.used; i++)
		if (S.co[i].state != CO_FREE && S.co[i].side == from)
			S.co[i].side = to;
}

unsigned sched_live(enum side side)
{
	unsigned n = 0;

	for (unsigned i = 0; i < S.used; i++)
		n += (S.co[i].state == CO_READY ||
		      S.co[i].state == CO_WAITS) && S.co[i].side == side;
	return n;
}

void sched_yield_now(void)
{
	/* One that yields often lets lower ranks run in the end */
	if (S.self && S.policy == POLICY_RANKED && sim_chance(8))
		S.self->rank = (unsigned)sim_below(1000);
	if (S.self)
		leave_co(S.self);
}

void sched_point(void)
{
	if (S.self && sim_chance(S.point_odds))
		sched_yield_now();
}

bool sched_wait(const void *on, const char *what, uint64_t deadline)
{
	struct co *c = S.self;

	c->state = CO_WAITS;
	c->on = on;
	c->what = what;
	c->deadline = deadline;
	c->timed_out = false;
	leave_co(c);
	return !c->timed_out;
}

static void make_ready(struct co *c, bool timed_out)
{
	c->state = CO_READY;
	c->on = NULL;
	c->deadline = NEVER;
	c->timed_out = timed_out;
}

static unsigned count_waiting(const void *on)
{
	unsigned n = 0;

	for (unsigned i = 0; i < S.used; i++)
		n += S.co[i].state == CO_WAITS && S.co[i].on == on;
	return n;
}

void sched_wake(const void *on, bool all)
{
	unsigned n = on ? count_waiting(on) : 0, k = 0, only;

	if (!n)
		return;
	only = all ? 0 : (unsigned)sim_below(n);
	for (unsigned i = 0; i < S.used; i++) {
		struct co *c = &S.co[i];

		if (c->state != CO_WAITS || c->on != on)
			continue;
		if (all || k++ == only)
			make_ready(c, false);
	}
}

/* ---- The scheduler ---- */

static void wake_expired(void)
{
	for (unsigned i = 0; i < S.used; i++)
		if (S.co[i].state == CO_WAITS && S.co[i].deadline <= S.now)
			make_ready(&S.co[i], true);
}

static uint64_t next_deadline(void)
{
	uint64_t next = NEVER;

	for (unsigned i = 0; i < S.used; i++)
		if (S.co[i].state == CO_WAITS && S.co[i].deadline < next)
			next = S.co[i].deadline;
	return next;
}

static struct co *choose_ready(void)
{
	struct co *ready[CO_MAX], *best;
	unsigned n = 0;

	for (unsigned i = 0; i < S.used; i++)
		if (S.co[i].state == CO_READY)
			ready[n++] = &S.co[i];
	if (!n)
		return NULL;
	best = ready[sim_below(n)];
	if (S.policy == POLICY_RANKED && !sim_chance(16))
		for (unsigned i = 0; i < n; i++)
			if (ready[i]->rank > best->rank)
				best = ready[i];
	return best;
}

static unsigned count_live(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < S.used; i++)
		n += S.co[i].state == CO_READY || S.co[i].state == CO_WAITS;
	return n;
}

static void trace_waits(void)
{
	for (unsigned i = 0; i < S.used; i++)
		if (S.co[i].state == CO_WAITS)
			sim_trace("%s %s waits for %s", S.co[i].name,
				  side_name(S.co[i].side), S.co[i].what);
}

/* Return: the next one to run; NULL when all have ended, or on a deadlock */
static struct co *next_co(void)
{
	struct co *c;
	uint64_t next;

	wake_expired();
	c = choose_ready();
	if (c)
		return c;
	next = next_deadline();
	if (next == NEVER) {
		if (count_live()) {
			trace_waits();
			sim_fail("deadlock: %u threads wait, and no deadline will end it",
				 count_live());
		}
		return NULL;
	}
	S.now = next;
	wake_expired();
	return choose_ready();
}

void sched_run(void (*check)(void), const bool *done, uint64_t limit)
{
	struct co *c;

	while (!S.failed && !*done && (c = next_co())) {
		S.self = c;
		context_switch(&S.main, &c->at);
		S.self = NULL;
		S.last = c;
		S.turns++;
		S.now += sim_below(TURN_NS);
		check();
		if (S.now > limit) {
			trace_waits();
			sim_fail("the run has not ended after %llu s of virtual time",
				 (unsigned long long)(limit / SECOND));
		}
	}
}
