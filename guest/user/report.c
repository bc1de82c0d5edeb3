// SPDX-License-Identifier: MIT
/*
 * report.c - The lines that tell how it goes
 */
#include "work.h"

static uint64_t gap_last, gap_max, gap_mark_max;
static uint64_t unaddressed;

/**
 * gap_start() - vCPU 0 begins, or its marks are reset
 * @now:	TSC
 */
void gap_start(uint64_t now)
{
	gap_last = now;
	gap_max = gap_mark_max = 0;
}

/**
 * gap_skip() - vCPU 0 did something that is not work, such as printing
 * @now:	TSC
 */
void gap_skip(uint64_t now)
{
	gap_last = now;
}

/**
 * gap_tick() - vCPU 0 makes progress
 * @now:	TSC; later than the present when it slept until then on purpose
 */
void gap_tick(uint64_t now)
{
	uint64_t gap = now - gap_last;

	if ((int64_t)gap < 0)
		return;
	gap_last = now;
	if (gap > gap_max)
		gap_max = gap;
	if (gap > gap_mark_max)
		gap_mark_max = gap;
}

/**
 * report_unaddressed() - Count a machine check that names no page
 */
void report_unaddressed(void)
{
	__atomic_add_fetch(&unaddressed, 1, __ATOMIC_RELAXED);
}

static uint64_t touched_of(struct cpu *c)
{
	return c->work.touched;
}

static uint64_t bad_of(struct cpu *c)
{
	return c->work.bad;
}

static uint64_t mce_of(struct cpu *c)
{
	return c->mce;
}

static uint64_t broadcasts_of(struct cpu *c)
{
	return c->broadcasts;
}

static uint64_t slowest_pass(void)
{
	uint64_t least = ~0ULL, i;

	for (i = 0; i < options.vcpus; i++)
		if (cpu_blocks[i].cpu.work.pass < least)
			least = cpu_blocks[i].cpu.work.pass;
	return least;
}

/**
 * report_print() - Print the report line
 * @c:		vCPU 0
 */
void report_print(struct cpu *c)
{
	struct line *l = &c->line;

	line_begin(l, "report");
	line_dec(l, "t_us", clock_now_us());
	line_str(l, "work", work->name);
	line_dec(l, "pages", work_sum(touched_of));
	line_dec(l, "bad", work_sum(bad_of));
	line_dec(l, "iterations", slowest_pass());
	stall_report(l);
	line_dec(l, "gap_max_us", clock_us(gap_max));
	line_dec(l, "gap_mark_max_us", clock_us(gap_mark_max));
	gap_max = 0;
	line_dec(l, "mce", work_sum(mce_of));
	line_dec(l, "broadcasts", work_sum(broadcasts_of));
	if (work->report)
		work->report(l);
	line_end(l);
}

/**
 * report_ready() - Say that the data area has been filled
 * @c:		vCPU 0
 */
void report_ready(struct cpu *c)
{
	line_begin(&c->line, "ready");
	line_dec(&c->line, "t_us", clock_now_us());
	line_end(&c->line);
}

/**
 * report_boot() - The first line
 * @c:		vCPU 0
 * @fdt:	a device tree was there
 */
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
	line_end(l);
}

/**
 * report_verdict() - Compare what was expected with what came
 * @c:		vCPU 0
 *
 * Return: true if nothing was wrong: no bad word, no expected page that could
 * be read, no machine check for a page that was not expected. Expected pages
 * that were never touched are not wrong; compare expected= with seen=.
 */
bool report_verdict(struct cpu *c)
{
	const uint32_t both = PAGE_EXPECTED | PAGE_SEEN;
	uint64_t readable = special_count(PAGE_READABLE, PAGE_READABLE);
	uint64_t unexpected = special_count(both, PAGE_SEEN) + unaddressed;
	uint64_t bad = work_sum(bad_of);
	bool clean = !readable && !unexpected && !bad;
	struct line *l = &c->line;

	line_begin(l, "verdict");
	line_dec(l, "expected", special_count(PAGE_EXPECTED, PAGE_EXPECTED));
	line_dec(l, "seen", special_count(both, both));
	line_dec(l, "readable", readable);
	line_dec(l, "unexpected", unexpected);
	line_dec(l, "bad", bad);
	line_dec(l, "mce", work_sum(mce_of));
	line_dec(l, "clean", clean);
	line_end(l);
	return clean;
}
