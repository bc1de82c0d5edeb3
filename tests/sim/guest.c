// SPDX-License-Identifier: MIT
/* guest.c - The guest, and what is true about its memory */

#include <errno.h>
#include <string.h>

#include "guest.h"
#include "migration/session/phase.h"
#include "node.h"
#include "plan.h"
#include "tests/fake/fake_ram.h"
#include "vmm/base/page.h"

#define PAGES_MAX	1024
#define WORDS		(GUEST_PAGE_SIZE / sizeof(uint64_t))
#define ZERO_ODDS	8	/* so many writes are zeroes */
#define LOADS_MAX	3
#define HOT_MAX		4
#define IDLE_PART	16

/**
 * struct truth - About one page
 * @version:	0: never written, zeroes
 * @zero:	the last write was of zeroes
 * @copied:	a source has read it since the guest has written it there
 * @dead:	its contents are lost everywhere: no side may have data for it
 * @lost_once:	it was lost somewhere: a side may have it as lost
 */
struct truth {
	uint32_t version;
	bool zero, copied, dead, lost_once;
};

static struct {
	struct truth page[PAGES_MAX];
	size_t n;
	bool open[SIDES], committed, ran, forked;
	uint64_t steps;
	size_t at;
} G;

/* Awaited by vCPUs that sleep; woken when a gate closes */
static const char work_ends;

static bool is_zero(const struct truth *t)
{
	return !t->version || t->zero;
}

static uint64_t first_word(size_t page, uint32_t version)
{
	return ((uint64_t)page << 32 | version) * 0x9e3779b97f4a7c15ull | 1;
}

static void fill_page(uint64_t *to, size_t page)
{
	const struct truth *t = &G.page[page];
	const uint64_t first = first_word(page, t->version);

	for (size_t i = 0; i < WORDS; i++)
		to[i] = is_zero(t) ? 0 : first + i;
}

/* @bytes: NULL for zeroes. After "run here" there may be two truths */
static bool is_right(const void *bytes, size_t page)
{
	const struct truth *t = &G.page[page];
	const uint64_t *w = bytes, first = first_word(page, t->version);
	uint64_t wrong = 0;

	if (G.forked)
		return true;
	if (!bytes)
		return is_zero(t);

	for (size_t i = 0; i < WORDS; i++)
		wrong |= w[i] ^ (is_zero(t) ? 0 : first + i);
	return !wrong;
}

/* ---- Notifications of the fakes ---- */

static void note_gate(void *ctx, struct machine *m, bool open)
{
	const enum side side = sched_side();

	(void)ctx;
	(void)m;
	sim_trace("gate %s", open ? "opens" : "closes");
	if (!open)
		sched_wake(&work_ends, true);
	G.open[side] = open;
	G.ran |= open && side == SIDE_TARGET;
	if (G.open[SIDE_SOURCE] && G.open[SIDE_TARGET])
		sim_fail("both sides run the guest");
}

/* What arrives is compared while the guest has not gone on at the source */
static bool is_comparable(void)
{
	const unsigned phase = node_phase(SIDE_SOURCE);

	return G.committed || phase == SOURCE_HANDOVER ||
	       phase == SOURCE_PREPARED;
}

static void note_placed(void *ctx, size_t page, const uint8_t *bytes)
{
	(void)ctx;
	if (!is_comparable())
		return;
	if (G.page[page].dead)
		sim_fail("page %zu was lost, and data is placed for it", page);
	if (!is_right(bytes, page))
		sim_fail("page %zu: other contents than on the source are placed",
			 page);
}

static void note_copied(void *ctx, size_t page)
{
	(void)ctx;
	G.page[page].copied = true;
}

static void note_fault(void *ctx, const char *text)
{
	(void)ctx;
	sim_fail("%s", text);
}

static int note_fails(void *ctx, enum fake_call call)
{
	(void)ctx;
	return plan_fails(CALL_FAKE + call);
}

static int note_lose(void *ctx, struct machine *m, uint64_t offset)
{
	(void)ctx;
	fake_ram_lose(machine_ram(m), offset / GUEST_PAGE_SIZE);
	return 0;
}

static void note_reset(void *ctx, struct machine *m)
{
	(void)ctx;
	(void)m;
	node_reset_asked(sched_side());
}

/* Its memory is as before the guest's first instruction: zeroes here */
static void note_was_reset(void *ctx, struct machine *m)
{
	(void)ctx;
	(void)m;
	sim_trace("the guest is reset");
	for (size_t i = 0; i < G.n; i++) {
		struct truth *t = &G.page[i];

		/* Of a destination's guest a source has nothing any more */
		*t = (struct truth){
			.version = t->version + 1, .zero = true,
			.copied = sched_side() == SIDE_TARGET,
		};
	}
	G.steps = 0;
}

/* ---- vCPUs ---- */

struct visit {
	size_t page;
	bool write, right;
};

static void visit_page(void *ctx, uint8_t *bytes)
{
	struct visit *v = ctx;
	struct truth *t = &G.page[v->page];

	v->right = is_right(bytes, v->page) && !t->dead;
	if (!v->write)
		return;
	t->version++;
	t->copied &= sched_side() != SIDE_SOURCE;
	t->zero = sim_chance(ZERO_ODDS);
	fill_page((uint64_t *)(void *)bytes, v->page);
}

static size_t choose_page(void)
{
	if (sim_chance(4))
		G.at = sim_below(G.n);
	else
		G.at = (G.at + sim_below(3)) % G.n;
	return G.at;
}

static void note_machine_check(struct machine *m, size_t page)
{
	struct poison p = { .gpa = page * GUEST_PAGE_SIZE,
			    .size = GUEST_PAGE_SIZE, .delivered = true };

	if (!G.page[page].lost_once)
		sim_fail("page %zu is lost for the guest, and never was lost",
			 page);
	poison_add(machine_poison(m), &p);
}

static void check_visit(const struct visit *v)
{
	const enum side side = sched_side();

	if (!v->right)
		sim_fail("the guest reads wrong data in page %zu", v->page);
	if (G.open[SIDE_SOURCE] && G.open[SIDE_TARGET])
		sim_fail("both sides run the guest");
	if (!node_may_run(side))
		sim_fail("the guest runs in a phase in which it must not");
}

/* Where nothing has passed for long, only time passes: a longer sleep */
static void work_a_while(void)
{
	const uint64_t idle = sched_now() - network_last();

	sched_wait(&work_ends, "the guest's work",
		   sched_now() + US + sim_log(300 * US) + idle / IDLE_PART);
}

static void step_vcpu(void *ctx, struct machine *m, unsigned vcpu)
{
	struct visit v = { .page = choose_page(), .write = sim_chance(2) };
	const struct fake_access a = {
		.page = v.page, .write = v.write, .fn = visit_page, .ctx = &v,
		.tid = sim_chance(4) ? 0 : machine_vcpu_tid(m, vcpu),
	};
	int rc;

	(void)ctx;
	fake_machine_block(m, vcpu, true);
	rc = fake_ram_access(machine_ram(m), &a);
	if (!rc && v.write)
		fake_machine_dirty(m, v.page);
	fake_machine_block(m, vcpu, false);
	/* Parked meanwhile: as if the vCPU had not begun */
	if (!rc && fake_machine_is_open(m))
		check_visit(&v);
	if (rc == -EHWPOISON)
		note_machine_check(m, v.page);
	else if (rc)
		sim_fail("the guest can't access page %zu: %d", v.page, rc);
	G.steps++;
	memcpy(fake_machine_state(m), &G.steps, sizeof(G.steps));
	work_a_while();
}

static int load_state(void *ctx, struct machine *m)
{
	uint64_t steps;

	(void)ctx;
	memcpy(&steps, fake_machine_state(m), sizeof(steps));
	if (steps != G.steps && is_comparable())
		sim_fail("the state that arrives is not the guest's last");
	for (unsigned i = 0; i < sim_below(LOADS_MAX + 1); i++) {
		struct visit v = { .page = sim_below(G.n) };
		const struct fake_access a = {
			.page = v.page, .fn = visit_page, .ctx = &v,
		};
		int rc = fake_ram_access(machine_ram(m), &a);

		if (node_phase(SIDE_TARGET) != TARGET_LOADING ||
		    !is_comparable())
			continue;
		if (!rc && !v.right)
			sim_fail("loading reads wrong data in page %zu",
				 v.page);
		if (rc && !G.page[v.page].lost_once)
			sim_fail("loading finds page %zu lost", v.page);
	}
	return 0;
}

static size_t list_hot(void *ctx, struct machine *m, uint64_t *gpa,
		       size_t max)
{
	size_t n = sim_below(HOT_MAX + 1);

	(void)ctx;
	(void)m;
	for (size_t i = 0; i < n && i < max; i++)
		gpa[i] = sim_below(G.n) * GUEST_PAGE_SIZE;
	return n < max ? n : max;
}

void guest_begin(size_t pages)
{
	memset(&G, 0, sizeof(G));
	G.n = pages;
	fake_reset();
	fake_host = (struct fake_host){
		.fail = note_fails, .step = step_vcpu, .gate = note_gate,
		.load = load_state, .hot = list_hot, .lose = note_lose,
		.placed = note_placed, .copied = note_copied,
		.fault = note_fault, .reset = note_reset,
		.was_reset = note_was_reset,
	};
}

static void write_page(struct machine *m, size_t page)
{
	struct visit v = { .page = page, .write = true };
	const struct fake_access a = {
		.page = page, .write = true, .fn = visit_page, .ctx = &v,
	};

	fake_ram_access(machine_ram(m), &a);
}

void guest_fill(struct machine *m)
{
	for (size_t i = 0; i < G.n; i++)
		if (sim_below(16) < plan.written)
			write_page(m, i);
	for (unsigned i = 0; i < plan.lost; i++)
		guest_poison(m, true);
}

void guest_forget(enum side side)
{
	G.open[side] = false;
}

bool guest_runs(enum side side)
{
	return G.open[side];
}

bool guest_ran(void)
{
	return G.ran;
}

void guest_rolled_back(void)
{
	G.forked = true;
}

void guest_committed(void)
{
	G.committed = true;
}

void guest_moved(void)
{
	G.open[SIDE_SOURCE] = G.open[SIDE_TARGET];
	G.open[SIDE_TARGET] = false;
	G.committed = G.ran = false;
	guest_resumed();
}

void guest_resumed(void)
{
	for (size_t i = 0; i < G.n; i++)
		G.page[i].copied = false;
}

/* ---- Poison ---- */

void guest_poison(struct machine *m, bool simulate)
{
	const size_t page = sim_below(G.n);
	struct truth *t = &G.page[page], before = *t;
	struct error err = { 0 };
	int rc;

	/* A vCPU may meet it before the call returns */
	t->lost_once = true;
	rc = fake_machine_poison(m, page * GUEST_PAGE_SIZE, simulate, &err);
	sim_trace("poison page %zu: %s", page, rc ? err.text : "done");
	if (rc && rc != -ENOMEM)
		t->lost_once = before.lost_once;
	else
		t->dead = true;
}

void guest_lose_page(struct machine *m)
{
	const size_t page = sim_below(G.n);
	struct truth *t = &G.page[page];

	if (fake_ram_page(machine_ram(m), page) != FAKE_PRESENT)
		return;
	sim_trace("the hardware loses page %zu", page);
	t->lost_once = true;
	fake_ram_lose(machine_ram(m), page);
	/* Not before: it could still be read until now */
	t->dead |= !t->copied || sched_side() == SIDE_TARGET;
}

/* ---- Comparison ---- */

static void check_page(struct ram *ram, size_t page, bool whole)
{
	const struct truth *t = &G.page[page];

	switch (fake_ram_page(ram, page)) {
	case FAKE_PRESENT:
		if (!is_right(ram->base + page * GUEST_PAGE_SIZE, page))
			sim_fail("page %zu holds other contents than it had on the source",
				 page);
		if (t->dead)
			sim_fail("page %zu was lost, and holds data", page);
		break;
	case FAKE_MISSING:
		if (!whole)
			break;
		if (fake_ram_registered(ram, page))
			sim_fail("page %zu is still registered", page);
		if (!is_zero(t) && !G.forked)
			sim_fail("page %zu has become zeroes", page);
		if (t->dead)
			sim_fail("page %zu was lost, and is zeroes", page);
		break;
	default:
		if (!t->lost_once)
			sim_fail("page %zu is lost, and never was lost", page);
		break;
	}
}

void guest_check(struct machine *m, bool whole)
{
	for (size_t i = 0; i < G.n && !sim_failed(); i++)
		check_page(machine_ram(m), i, whole);
}
