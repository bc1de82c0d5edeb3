// SPDX-License-Identifier: MIT
/*
 * main.c - Start of ring 3, on every vCPU
 */
#include "../area.h"
#include "../board.h"
#include "../console.h"
#include "bootinfo.h"
#include "clock.h"
#include "command.h"
#include "fdt.h"
#include "lapic.h"
#include "loop.h"
#include "main.h"
#include "options.h"
#include "report.h"
#include "stall.h"
#include "window.h"
#include "worker.h"
#include "workloads.h"

#define MIB_PAGES	256

static void __attribute__((noreturn))
boot_error(struct cpu *c, const char *what, const char *reason)
{
	line_begin(&c->line, "error");
	line_str(&c->line, what, reason);
	console_print(&c->line);
	board_exit(EXIT_USAGE);
}

static void cpus_setup(struct cpu *c, const struct boot_info *b)
{
	int n;

	if (b->fdt) {
		n = fdt_count_cpus(b->fdt);
		if (n < 1 || n > CPUS_MAX)
			boot_error(c, "fdt", "no-usable-cpu-nodes");
		options.cpus = n;
	}
	if (!options.vcpus)
		options.vcpus = options.cpus;
	if (options.vcpus > options.cpus)
		boot_error(c, "arg", "vcpus reason=more-than-there-are");
}

static void area_setup(struct cpu *c)
{
	if (!options.mib)
		options.mib = area.ram_pages / MIB_PAGES;
	area.pages = options.mib * MIB_PAGES;
	if (area.pages > area.ram_pages)
		boot_error(c, "arg", "mib reason=more-than-there-is");
	if (window_init() < 0)
		boot_error(c, "memory", "too-large-for-page-tables");
}

static void boot(struct cpu *c)
{
	struct boot_info b;

	console_init();
	if (boot_info_read(&b) < 0)
		boot_error(c, "boot", "no-usable-start-info");
	workload_choose("verify");
	if (options_parse(b.cmdline, workload_choose, &c->line) < 0)
		board_exit(EXIT_USAGE);
	if (clock_init() < 0)
		boot_error(c, "clock", "tsc-frequency-unknown");
	cpus_setup(c, &b);
	area_setup(c);
	worker_setup();
	if (!options.hold)
		loop_go();
	stall_init();
	report_boot(c, b.fdt != NULL);
	lapic_init();
	lapic_calibrate();
	if (lapic_start_cpus(options.cpus) != (int)options.cpus)
		boot_error(c, "cpus", "did-not-all-start");
}

void user_main(struct cpu *c)
{
	if (c->index) {
		lapic_init();
		lapic_online();
	} else {
		boot(c);
	}
	loop_run(c, command_poll);
}
