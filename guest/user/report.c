// SPDX-License-Identifier: MIT
/*
 * report.c - The lines "boot", "ready", "report" and "verdict"
 */
#include "../board.h"
#include "../console.h"
#include "clock.h"
#include "gap.h"
#include "report.h"
#include "special.h"
#include "stall.h"
#include "visit.h"
#include "worker.h"

static uint64_t next_report;		/* TSC */

static uint64_t touched_of(const struct cpu *c)
{
	return worker_of(c)->touched;
}

static uint64_t bad_of(const struct cpu *c)
{
	return worker_of(c)->bad;
}

static uint64_t mce_of(const struct cpu *c)
{
	return c->mce;
}

static uint64_t broadcasts_of(const struct cpu *c)
{
	return c->broadcasts;
}

static uint64_t slowest_pass(void)
{
	uint64_t least = ~0ULL, i;

	for (i = 0; i < options.vcpus; i++)
		if (workers[i].pass < least)
			least = workers[i].pass;
	return least;
}

void report_print(struct cpu *c)
{
	struct line *l = &c->line;

	line_begin(l, "report");
	line_dec(l, "t_us", clock_now_us());
	line_str(l, "work", work->name);
	line_dec(l, "pages", worker_sum(touched_of));
	line_dec(l, "bad", worker_sum(bad_of));
	line_dec(l, "iterations", slowest_pass());
	stall_report(l);
	gap_report(l);
	line_dec(l, "mce", worker_sum(mce_of));
	line_dec(l, "broadcasts", worker_sum(broadcasts_of));
	if (work->report)
		work->report(l);
	console_print(l);
}

void report_ready(struct cpu *c)
{
	line_begin(&c->line, "ready");
	line_dec(&c->line, "t_us", clock_now_us());
	console_print(&c->line);
}

void report_boot(struct cpu *c, bool fdt)
{
	struct line *l = &c->line;

	line_begin(l, "boot ferry-guest version=1");
	line_dec(l, "vcpus", options.vcpus);
	line_dec(l, "mib", options.mib);
	line_dec(l, "seed", options.seed);
	line_str(l, "work", work->name);
	line_str(l, "vendor", vendor_amd ? "amd" : "intel");
	line_dec(l, "fdt", fdt);
	line_dec(l, "cpus", options.cpus);
	line_dec(l, "banks", c->banks);
	line_dec(l, "tsc_khz", ticks_per_ms);
	console_print(l);
}

bool report_verdict(struct cpu *c)
{
	const uint32_t both = PAGE_EXPECTED | PAGE_SEEN;
	uint64_t readable = special_count(PAGE_READABLE, PAGE_READABLE);
	uint64_t unexpected = special_count(both, PAGE_SEEN) +
			      visit_unaddressed();
	uint64_t bad = worker_sum(bad_of);
	bool clean = !readable && !unexpected && !bad;
	struct line *l = &c->line;

	line_begin(l, "verdict");
	line_dec(l, "expected", special_count(PAGE_EXPECTED, PAGE_EXPECTED));
	line_dec(l, "seen", special_count(both, both));
	line_dec(l, "readable", readable);
	line_dec(l, "unexpected", unexpected);
	line_dec(l, "bad", bad);
	line_dec(l, "mce", worker_sum(mce_of));
	line_dec(l, "clean", clean);
	console_print(l);
	return clean;
}

void report_start(void)
{
	next_report = tsc() + options.interval_ms * ticks_per_ms;
}

void report_poll(struct cpu *c)
{
	if (!options.interval_ms || (int64_t)(tsc() - next_report) < 0)
		return;
	report_print(c);
	report_start();
	gap_skip(tsc());
}

void report_finish(struct cpu *c)
{
	report_print(c);
	board_exit(report_verdict(c) ? EXIT_CLEAN : EXIT_UNCLEAN);
}
