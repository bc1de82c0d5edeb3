// SPDX-License-Identifier: MIT
/*
 * main.c - Ring 3 begins here, on every vCPU
 */
#include "user.h"
#include "work.h"

#define MIB_PAGES	256

static void __attribute__((noreturn))
give_up(struct cpu *c, const char *what, const char *reason)
{
	line_begin(&c->line, "error");
	line_str(&c->line, what, reason);
	line_end(&c->line);
	debug_exit(EXIT_USAGE);
}

static void count_cpus(struct cpu *c, const struct boot_info *b)
{
	int n;

	if (b->fdt) {
		n = fdt_count_cpus(b->fdt);
		if (n < 1 || n > CPUS_MAX)
			give_up(c, "fdt", "no-usable-cpu-nodes");
		options.cpus = n;
	}
	if (!options.vcpus)
		options.vcpus = options.cpus;
	if (options.vcpus > options.cpus)
		give_up(c, "arg", "vcpus reason=more-than-there-are");
}

static void place_area(struct cpu *c)
{
	if (!options.mib)
		options.mib = area.ram_pages / MIB_PAGES;
	area.pages = options.mib * MIB_PAGES;
	if (area.pages > area.ram_pages)
		give_up(c, "arg", "mib reason=more-than-there-is");
	if (window_init() < 0)
		give_up(c, "memory", "too-large-for-page-tables");
}

static void boot(struct cpu *c)
{
	struct boot_info b;

	console_init();
	if (boot_info_read(&b) < 0)
		give_up(c, "boot", "no-usable-start-info");
	if (args_parse(&options, b.cmdline, &c->line) < 0)
		debug_exit(EXIT_USAGE);
	if (clock_init() < 0)
		give_up(c, "clock", "tsc-frequency-unknown");
	count_cpus(c, &b);
	place_area(c);
	work_setup();
	stall_init();
	report_boot(c, b.fdt != NULL);
	lapic_init();
	lapic_calibrate();
	if (lapic_start_cpus(options.cpus) != (int)options.cpus)
		give_up(c, "cpus", "did-not-all-start");
}

/**
 * user_main() - First ring 3 function of a vCPU
 * @c:		this vCPU
 */
void user_main(struct cpu *c)
{
	if (c->index) {
		lapic_init();
		lapic_online();
	} else {
		boot(c);
	}
	work_loop(c);
}
