// SPDX-License-Identifier: MIT
/*
 * visit.c - Visits to pages, and the handling of pages lost in them
 *
 * Theory of operation: visit_gpa tells ring 0's handler (mce.c) which page this
 * vCPU is accessing. When that page is lost, the vCPU resumes at the top of
 * loop_run(), with records in its queue, and visit_recover() acts on them:
 *
 * - the page of the visit, not retired yet: retired now;
 * - retired already, by another vCPU while this one still had the old
 *   translation: nothing more to do (again=1);
 * - any other page of the data area (found by the host, or deferred): marked,
 *   and retired by the next vCPU that is about to visit it, since only that
 *   vCPU knows what the page must hold;
 * - a broadcast, or an address outside the data area: recorded only.
 *
 * To retire a page, a fresh page is filled with what the page must hold before
 * the visit and mapped in its place; the old page is never accessed again.
 */
#include "../area.h"
#include "../board.h"
#include "../console.h"
#include "lock.h"
#include "special.h"
#include "visit.h"
#include "window.h"
#include "worker.h"

static uint32_t retire_lock;
static uint64_t unaddressed;	/* machine checks that name no page */

static void fatal_pool_empty(struct cpu *c, uint64_t gpa)
{
	console_seize();
	line_begin(&c->line, "fatal mce=pool-empty");
	line_hex(&c->line, "addr", gpa);
	line_dec(&c->line, "vcpu", c->index);
	console_print(&c->line);
	board_exit(EXIT_MCE);
}

/* Return: gpa of the fresh page, 0 when it had been retired before */
static uint64_t page_retire(struct cpu *c, uint64_t page)
{
	uint64_t gpa = area_gpa(page), fresh_gpa = 0;
	struct fresh_page fresh;

	spin_lock(&retire_lock);
	if (!(special_flags(gpa) & PAGE_RETIRED)) {
		if (!pool_take(&fresh))
			fatal_pool_empty(c, gpa);
		work->write(c, page, fresh.va);
		if (window_replace(page, fresh.gpa) < 0 ||
		    !special_set(gpa, PAGE_RETIRED))
			fatal_pool_empty(c, gpa);
		fresh_gpa = fresh.gpa;
	}
	spin_unlock(&retire_lock);
	window_sync(c);
	return fresh_gpa;
}

static void print_retired(struct cpu *c, uint64_t gpa, uint64_t fresh_gpa)
{
	line_begin(&c->line, "retired");
	line_hex(&c->line, "addr", gpa);
	line_hex(&c->line, "page", fresh_gpa);
	line_dec(&c->line, "regenerated", 1);
	console_print(&c->line);
}

uint64_t *visit_begin(struct cpu *c, uint64_t page)
{
	uint64_t gpa = area_gpa(page), fresh;
	uint32_t flags = special_flags(gpa);

	if ((flags & (PAGE_MARKED | PAGE_RETIRED)) == PAGE_MARKED) {
		fresh = page_retire(c, page);
		if (fresh)
			print_retired(c, gpa, fresh);
		flags |= PAGE_RETIRED;
	}
	/* Read before the access: a later "expect" may race with it */
	worker_of(c)->expected = (flags & (PAGE_EXPECTED | PAGE_RETIRED |
				     PAGE_READABLE)) == PAGE_EXPECTED;
	window_sync(c);
	__atomic_store_n(&c->visit_gpa, gpa, __ATOMIC_SEQ_CST);
	return window_va(page);
}

static void print_readable(struct cpu *c, uint64_t gpa)
{
	special_set(gpa, PAGE_READABLE);
	line_begin(&c->line, "bad");
	line_hex(&c->line, "addr", gpa);
	line_dec(&c->line, "readable", 1);
	line_dec(&c->line, "vcpu", c->index);
	console_print(&c->line);
}

void visit_end(struct cpu *c)
{
	uint64_t gpa = c->visit_gpa;

	__atomic_store_n(&c->visit_gpa, NO_GPA, __ATOMIC_SEQ_CST);
	if (worker_of(c)->expected &&
	    !(special_flags(gpa) & (PAGE_RETIRED | PAGE_READABLE)))
		print_readable(c, gpa);
}

static void print_record(struct cpu *c, const struct mc_record *r,
			 bool retired, bool again)
{
	static const char *const kinds[] = {
		[MC_ACTION_REQUIRED] = "ar", [MC_ACTION_OPTIONAL] = "ao",
		[MC_BROADCAST] = "broadcast", [MC_DEFERRED] = "deferred",
		[MC_CORRECTED] = "corrected",
	};
	struct line *l = &c->line;

	line_begin(l, "mce");
	line_dec(l, "vcpu", c->index);
	line_dec(l, "bank", r->bank);
	line_hex(l, "status", r->status);
	line_hex(l, "mcgstatus", r->mcg_status);
	if (r->addr != NO_GPA)
		line_hex(l, "addr", r->addr);
	line_hex(l, "misc", r->misc);
	line_str(l, "kind", kinds[r->kind]);
	line_dec(l, "retired", retired);
	line_dec(l, "again", again);
	console_print(l);
}

static void record_count(struct cpu *c, const struct mc_record *r)
{
	if (r->kind == MC_BROADCAST) {
		c->broadcasts++;
		return;
	}
	c->mce++;
	if (r->addr == NO_GPA || !special_set(r->addr, PAGE_SEEN))
		__atomic_add_fetch(&unaddressed, 1, __ATOMIC_RELAXED);
}

static void record_handle(struct cpu *c, const struct mc_record *r,
			  uint64_t visited)
{
	uint64_t fresh = 0, page, gpa = r->addr & ~(uint64_t)(PAGE_SIZE - 1);
	bool again = false;

	record_count(c, r);
	if (r->kind == MC_BROADCAST || r->kind == MC_CORRECTED ||
	    !area_page(r->addr, &page)) {
		print_record(c, r, false, false);
		return;
	}
	if (r->kind == MC_ACTION_REQUIRED && gpa == visited) {
		fresh = page_retire(c, page);
		again = !fresh;
	} else {
		again = special_flags(gpa) & PAGE_RETIRED;
		special_set(gpa, PAGE_MARKED);
	}
	print_record(c, r, fresh != 0, again);
	if (fresh)
		print_retired(c, gpa, fresh);
}

void visit_recover(struct cpu *c)
{
	uint64_t visited = c->visit_gpa;

	if (__atomic_load_n(&c->mc.head, __ATOMIC_ACQUIRE) == c->mc.tail)
		return;
	/* Locks are taken from here on: no machine check may end this */
	__atomic_store_n(&c->visit_gpa, NO_GPA, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&c->mc.head, __ATOMIC_ACQUIRE) != c->mc.tail) {
		struct mc_record r = c->mc.record[c->mc.tail % MC_QUEUE];

		__atomic_store_n(&c->mc.tail, c->mc.tail + 1, __ATOMIC_RELEASE);
		record_handle(c, &r, visited);
	}
	c->stray_gpa = NO_GPA;
}

uint64_t visit_unaddressed(void)
{
	return __atomic_load_n(&unaddressed, __ATOMIC_RELAXED);
}
