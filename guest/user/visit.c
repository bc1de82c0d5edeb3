// SPDX-License-Identifier: MIT
/*
 * visit.c - Visits to pages, and what is done about pages lost in them
 *
 * Theory of operation: visit_gpa tells ring 0's handler (mce.c) which page this
 * vCPU is touching. When that page is lost, the vCPU finds itself at the top of
 * work_loop(), with records in its queue, and visit_recover() acts on them:
 *
 * - the page of the visit, not retired yet: retired now;
 * - retired already, by another vCPU while this one still had the old
 *   translation: nothing more to do (again=1);
 * - any other page of the data area (found by the host, or deferred): marked,
 *   and retired by the next vCPU that is about to visit it, since only that
 *   one knows what the page must hold;
 * - a broadcast, or an address outside: recorded only.
 *
 * "Retired" is: a fresh page is filled with what the page must hold before the
 * visit, mapped in its place, and the old one is never touched again.
 */
#include "work.h"

static uint32_t retire_lock;

static void no_page_left(struct cpu *c, uint64_t gpa)
{
	console_seize();
	line_begin(&c->line, "fatal mce=pool-empty");
	line_hex(&c->line, "addr", gpa);
	line_dec(&c->line, "vcpu", c->index);
	line_end(&c->line);
	debug_exit(EXIT_MCE);
}

/* Return: gpa of the fresh page, 0 when it had been retired before */
static uint64_t retire(struct cpu *c, uint64_t page)
{
	uint64_t gpa = page_gpa(page), fresh_gpa = 0;
	struct fresh_page fresh;

	spin_lock(&retire_lock);
	if (!(special_get(gpa) & PAGE_RETIRED)) {
		if (!pool_take(&fresh))
			no_page_left(c, gpa);
		work->write(c, page, fresh.va);
		if (window_replace(page, fresh.gpa) < 0 ||
		    !special_set(gpa, PAGE_RETIRED))
			no_page_left(c, gpa);
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
	line_end(&c->line);
}

/**
 * visit_begin() - About to touch a page
 * @c:		this vCPU
 * @page:	page number
 *
 * Return: where it is; valid until visit_end()
 */
uint64_t *visit_begin(struct cpu *c, uint64_t page)
{
	uint64_t gpa = page_gpa(page), fresh;
	uint32_t flags = special_get(gpa);

	if ((flags & (PAGE_MARKED | PAGE_RETIRED)) == PAGE_MARKED) {
		fresh = retire(c, page);
		if (fresh)
			print_retired(c, gpa, fresh);
		flags |= PAGE_RETIRED;
	}
	/* Expected before the first touch: after that it would be a race */
	c->work.expected = (flags & (PAGE_EXPECTED | PAGE_RETIRED |
				     PAGE_READABLE)) == PAGE_EXPECTED;
	window_sync(c);
	__atomic_store_n(&c->visit_gpa, gpa, __ATOMIC_SEQ_CST);
	return page_va(page);
}

static void print_readable(struct cpu *c, uint64_t gpa)
{
	special_set(gpa, PAGE_READABLE);
	line_begin(&c->line, "bad");
	line_hex(&c->line, "addr", gpa);
	line_dec(&c->line, "readable", 1);
	line_dec(&c->line, "vcpu", c->index);
	line_end(&c->line);
}

/**
 * visit_end() - The page was touched, and all went well
 * @c:		this vCPU
 */
void visit_end(struct cpu *c)
{
	uint64_t gpa = c->visit_gpa;

	__atomic_store_n(&c->visit_gpa, NO_GPA, __ATOMIC_SEQ_CST);
	if (c->work.expected &&
	    !(special_get(gpa) & (PAGE_RETIRED | PAGE_READABLE)))
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
	line_end(l);
}

static void note(struct cpu *c, const struct mc_record *r)
{
	if (r->kind == MC_BROADCAST) {
		c->broadcasts++;
		return;
	}
	c->mce++;
	if (r->addr == NO_GPA || !special_set(r->addr, PAGE_SEEN))
		report_unaddressed();
}

static void act(struct cpu *c, const struct mc_record *r, uint64_t visited)
{
	uint64_t fresh = 0, page, gpa = r->addr & ~(uint64_t)(PAGE_SIZE - 1);
	bool again = false;

	note(c, r);
	if (r->kind == MC_BROADCAST || r->kind == MC_CORRECTED ||
	    !gpa_page(r->addr, &page)) {
		print_record(c, r, false, false);
		return;
	}
	if (r->kind == MC_ACTION_REQUIRED && gpa == visited) {
		fresh = retire(c, page);
		again = !fresh;
	} else {
		again = special_get(gpa) & PAGE_RETIRED;
		special_set(gpa, PAGE_MARKED);
	}
	print_record(c, r, fresh != 0, again);
	if (fresh)
		print_retired(c, gpa, fresh);
}

/**
 * visit_recover() - At the top of the loop: act on machine checks, if any
 * @c:		this vCPU
 */
void visit_recover(struct cpu *c)
{
	uint64_t visited = c->visit_gpa;

	if (__atomic_load_n(&c->mc.head, __ATOMIC_ACQUIRE) == c->mc.tail)
		return;
	/* From here locks are taken: no way back to the top any more */
	__atomic_store_n(&c->visit_gpa, NO_GPA, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&c->mc.head, __ATOMIC_ACQUIRE) != c->mc.tail) {
		struct mc_record r = c->mc.record[c->mc.tail % MC_QUEUE];

		__atomic_store_n(&c->mc.tail, c->mc.tail + 1, __ATOMIC_RELEASE);
		act(c, &r, visited);
	}
	c->stray_gpa = NO_GPA;
}
