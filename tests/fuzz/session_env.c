// SPDX-License-Identifier: MIT
/* session_env.c - The process around a session that is fuzzed */

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "session_env.h"
#include "tests/fake/fake_ram.h"
#include "tests/sim/files.h"
#include "tests/sim/memory.h"
#include "tests/sim/plan.h"
#include "tests/sim/wrap.h"
#include "vmm/base/log.h"

#define SETTLE_STEPS	20
#define SETTLE_US	250
#define VCPU_US		200	/* between two accesses */
#define VCPU_TURNS	64	/* after so many, the pause is twice as long */
#define VCPU_BITS	9	/* and so on, so often */
#define END_MS		1	/* for a vCPU that waits for a page */
#define LEAVE_MS	1000	/* for a resolver's thread, which is abandoned */
#define LIMIT_NS	(3600 * SECOND)

static const struct network_shape shape = {
	.latency = 5 * US, .jitter = 5 * US, .buffer = 256u << 10,
};

/* ---- What the simulator asks of its user: nothing fails by itself ---- */

int plan_fails(unsigned call)
{
	(void)call;
	return 0;
}

size_t plan_message(const struct plan_point *p)
{
	return p->to - p->from;
}

bool plan_take_cut(struct plan_cut *cut)
{
	(void)cut;
	return false;
}

const char *cut_name(enum cut_kind kind)
{
	(void)kind;
	return "cut";
}

/* What a line is made of must be readable. It is printed with FUZZ_LOG=1 */
void __wrap_log_line(const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (getenv("FUZZ_LOG"))
		fprintf(stderr, "%s\n", text);
}

/* The same in each run: an input contains the id of the session */
ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags)
{
	(void)flags;
	memset(to, 'f', n);
	return (ssize_t)n;
}

/* ---- What the session asks of its process ---- */

static void ignore_status(void *ctx, enum progress_status status)
{
	(void)ctx;
	(void)status;
}

static void adopt_machine(void *ctx, struct machine *m)
{
	struct session_fuzz *f = ctx;

	f->m = m;
}

static void ignore_side(void *ctx, const char *side)
{
	(void)ctx;
	(void)side;
}

static int lose_page(void *ctx, struct machine *m, uint64_t offset)
{
	(void)ctx;
	fake_ram_lose(machine_ram(m), offset / WIRE_PAGE);
	return 0;
}

static void note_gate(void *ctx, struct machine *m, bool open)
{
	struct session_fuzz *f = ctx;

	(void)m;
	f->opened += open;
}

static void init_env(struct session_fuzz *f)
{
	struct session_limits *l = &f->limits;

	f->env = (struct session_env){
		.ctx = f, .backing = -1, .adopt = adopt_machine,
		.set_side = ignore_side,
	};
	session_limits_init(l);
	l->connect_ms = l->hello_ms = l->build_ms = l->silence_ms =
		l->answer_ms = 2000;
	l->last_pages_ms = 20;
	progress_init(&f->progress, ignore_status, NULL);
	fake_reset();
	fake_host = (struct fake_host){ .ctx = f, .gate = note_gate,
					.lose = lose_page, .end_ms = END_MS };
}

/* ---- A run ---- */

static void *main_thread(void *arg)
{
	struct session_fuzz *f = arg;

	init_env(f);
	f->fn(f, f->data, f->size);
	pthread_mutex_destroy(&f->progress.lock);
	for (unsigned i = 0; i < LEAVE_MS && sched_live(f->side) > 1; i++)
		usleep(1000);
	CHECK(sched_live(f->side) == 1);
	CHECK(!files_count(f->side));
	CHECK(!memory_blocks(f->side));
	f->over = true;
	return NULL;
}

static void no_check(void)
{
}

/* FNV-1a */
static uint64_t seed_of(const uint8_t *data, size_t size)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		h = (h ^ data[i]) * 0x100000001b3;
	return h;
}

void session_fuzz_run(enum side side, session_fuzz_fn *fn, const uint8_t *data,
		      size_t size)
{
	static struct session_fuzz f;

	f = (struct session_fuzz){ .side = side, .fn = fn, .data = data,
				   .size = size };
	memory_setup();
	sched_begin(seed_of(data, size));
	network_begin(&shape);
	sched_detach(sched_spawn(main_thread, &f, side, "main"));
	sched_run(no_check, &f.over, LIMIT_NS);
	if (sim_failed()) {
		fprintf(stderr, "%s\n", sim_failure());
		abort();
	}
	if (getenv("FUZZ_LOG"))
		fprintf(stderr, "run %016llx, %.3f ms\n",
			(unsigned long long)sched_digest(),
			(double)sched_now() / MS);
	sched_end();
}

static size_t page_of(struct machine *m, size_t page)
{
	return page % (machine_ram(m)->size / WIRE_PAGE);
}

void session_fuzz_touch(struct session_fuzz *f, struct machine *m,
			unsigned vcpu, size_t page, bool write)
{
	struct fake_access a = {
		.page = page_of(m, page), .write = write,
		.tid = machine_vcpu_tid(m, vcpu),
	};
	unsigned bits = f->turns / VCPU_TURNS;

	fake_machine_block(m, vcpu, true);
	fake_ram_access(machine_ram(m), &a);
	fake_machine_block(m, vcpu, false);
	/* Parked meanwhile: as if the vCPU had not begun */
	if (f->may_run && fake_machine_is_open(m))
		CHECK(f->may_run(f->session));
	usleep(VCPU_US << (bits < VCPU_BITS ? bits : VCPU_BITS));
}

void session_fuzz_lose(struct session_fuzz *f, size_t page, bool simulate)
{
	struct error err = { 0 };

	if (!f->m)
		return;
	page = page_of(f->m, page);
	if (simulate)
		fake_machine_poison(f->m, page * WIRE_PAGE, true, &err);
	else if (fake_ram_page(machine_ram(f->m), page) == FAKE_PRESENT)
		fake_ram_lose(machine_ram(f->m), page);
}

void session_fuzz_settle(struct session_fuzz *f)
{
	for (unsigned i = 0; i < SETTLE_STEPS; i++) {
		enum progress_status s = progress_get(&f->progress);

		if (progress_ended(s) || s == PROGRESS_PAUSED)
			return;
		usleep(SETTLE_US);
	}
}
