// SPDX-License-Identifier: MIT
/* options_table.c - Which subcommand takes which options, and their help */

#include <assert.h>

#include "options_table.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define BIT(cmd) (1u << (cmd))
#define MACHINES (BIT(CMD_RUN) | BIT(CMD_RECEIVE))
#define CLIENTS                                                              \
	(BIT(CMD_MIGRATE) | BIT(CMD_POISON) | BIT(CMD_DUMP) |                \
	 BIT(CMD_STATUS) | BIT(CMD_STOP) | BIT(CMD_CONT) | BIT(CMD_RESET) |  \
	 BIT(CMD_QUIT) | BIT(CMD_EVENTS) | BIT(CMD_CONSOLE))
#define ALL (BIT(CMDS) - 1)

const struct command_def command_defs[CMDS] = {
	[CMD_RUN] = { "run", "--name NAME --kernel FILE [OPTIONS]",
		"start a guest", false, false },
	[CMD_RECEIVE] = { "receive", "--name NAME [OPTIONS] URI",
		"wait for a guest that migrates here", false, true },
	[CMD_MIGRATE] = { "migrate", "[OPTIONS] NAME URI",
		"move a guest to another ferry", true, true },
	[CMD_POISON] = { "poison", "--address GPA [OPTIONS] NAME",
		"make pages of a guest unreadable, as failing memory would",
		true, false },
	[CMD_DUMP] = { "dump", "[OPTIONS] NAME FILE",
		"put the memory of a guest into a file", true, false },
	[CMD_STATUS] = { "status", "[OPTIONS] NAME",
		"show what a machine is doing", true, false },
	[CMD_LIST] = { "list", "[--json]",
		"show the machines that run here", false, false },
	[CMD_STOP] = { "stop", "[OPTIONS] NAME",
		"pause a guest", true, false },
	[CMD_CONT] = { "cont", "[OPTIONS] NAME",
		"let a paused guest go on", true, false },
	[CMD_RESET] = { "reset", "[OPTIONS] NAME",
		"reset a guest: it boots anew, with fresh memory", true, false },
	[CMD_QUIT] = { "quit", "[OPTIONS] NAME",
		"end a machine", true, false },
	[CMD_EVENTS] = { "events", "[OPTIONS] NAME",
		"print what happens to a machine, one JSON object a line",
		true, false },
	[CMD_CONSOLE] = { "console", "[OPTIONS] NAME",
		"attach this terminal to a guest's serial port; Ctrl-] leaves",
		true, false },
	[CMD_HELP] = { "help", "[COMMAND]",
		"explain a command", false, false },
	[CMD_VERSION] = { "version", "",
		"print which ferry this is", false, false },
};
static_assert(ARRAY_SIZE(command_defs) == CMDS && CMDS < 32,
	      "every subcommand needs its row and its bit");

const struct option_def option_defs[] = {
	{ "name", OPT_NAME, "NAME", MACHINES,
	  "the machine's name: letters, digits, '.', '_', '-'" },
	{ "memory", OPT_MEMORY, "SIZE", BIT(CMD_RUN),
	  "RAM, 16M to 16T, a whole number of MiB; K, M, G, T\n"
	  "are powers of 1024, a plain number is MiB\n"
	  "(default 128M)" },
	{ "cpus", OPT_CPUS, "N", BIT(CMD_RUN),
	  "virtual CPUs, 1 to 64 (default 1)" },
	{ "kernel", OPT_KERNEL, "FILE", BIT(CMD_RUN),
	  "what to boot: a Linux bzImage, or a 64-bit ELF file\n"
	  "with a PVH note" },
	{ "initrd", OPT_INITRD, "FILE", BIT(CMD_RUN),
	  "initial RAM disk for it" },
	{ "append", OPT_APPEND, "STRING", BIT(CMD_RUN),
	  "boot arguments for the guest" },
	{ "ram", OPT_RAM, "KIND", MACHINES,
	  "what RAM is made of: anon, memfd, or hugetlb (huge\n"
	  "pages of 2 MiB, which must be there: nr_hugepages);\n"
	  "default: anon; receive: as on the source" },
	{ "cpu", OPT_CPU, "MODEL", BIT(CMD_RUN),
	  "what the vCPUs can: host (default), all that KVM\n"
	  "supports here, or baseline, the same on every host" },
	{ "cpu-vendor", OPT_CPU_VENDOR, "WHO", BIT(CMD_RUN),
	  "whose machine checks the guest gets, by its CPUID:\n"
	  "host (default), amd or intel" },
	{ "serial", OPT_SERIAL, "WHERE", MACHINES,
	  "the guest's serial port: stdio (default), none,\n"
	  "or file:PATH (output only)" },
	{ "paused", OPT_PAUSED, NULL, BIT(CMD_RUN),
	  "do not start the guest before `ferry cont`" },
	{ "no-reboot", OPT_NO_REBOOT, NULL, MACHINES,
	  "end when the guest reboots, instead of resetting it" },
	{ "log", OPT_LOG, "FILE", MACHINES,
	  "append a copy of ferry's messages to FILE" },
	{ "address", OPT_ADDRESS, "GPA", BIT(CMD_POISON) | BIT(CMD_DUMP),
	  "poison: guest-physical address in the first page;\n"
	  "dump: where to begin" },
	{ "size", OPT_SIZE, "SIZE", BIT(CMD_DUMP),
	  "how much, as for --memory, e.g. 4K (default: all)" },
	{ "raw", OPT_RAW, NULL, BIT(CMD_DUMP),
	  "just the bytes, no ELF core file; fails if a page\n"
	  "of it is lost, and does not pause the guest" },
	{ "count", OPT_COUNT, "N", BIT(CMD_POISON) | BIT(CMD_EVENTS),
	  "poison: how many pages (default 1);\n"
	  "events: end after so many (default: never)" },
	{ "method", OPT_METHOD, "HOW", BIT(CMD_POISON),
	  "auto (default), hwpoison (the kernel's own: needs\n"
	  "CAP_SYS_ADMIN and CONFIG_MEMORY_FAILURE), or\n"
	  "simulate (works everywhere)" },
	{ "bandwidth", OPT_BANDWIDTH, "SIZE", BIT(CMD_MIGRATE),
	  "push at most so much per second, e.g. 100M; pages\n"
	  "that a vCPU waits for are never held back\n"
	  "(default: no limit)" },
	{ "no-poison", OPT_NO_POISON, NULL, BIT(CMD_MIGRATE),
	  "let a guest without lost memory go to a kernel that\n"
	  "has no UFFDIO_POISON (before Linux 6.6): it ends if\n"
	  "it needs a page that is lost on the way" },
	{ "connections", OPT_CONNECTIONS, "N", BIT(CMD_MIGRATE),
	  "push on so many connections, 1 to 8 (default 2)" },
	{ "detach", OPT_DETACH, NULL, BIT(CMD_MIGRATE),
	  "start the migration, and do not wait for its end" },
	{ "control", OPT_CONTROL, "PATH", MACHINES | CLIENTS,
	  "control socket, instead of the one that belongs to\n"
	  "the name; NAME may then be left out of commands\n"
	  "that have it as an argument" },
	{ "json", OPT_JSON, NULL,
	  BIT(CMD_MIGRATE) | BIT(CMD_POISON) | BIT(CMD_DUMP) |
	  BIT(CMD_STATUS) | BIT(CMD_LIST),
	  "print one JSON value instead of text" },
	{ "help", OPT_HELP, NULL, ALL,
	  "print this" },
	{ 0 }
};
static_assert(ARRAY_SIZE(option_defs) == OPT_END - OPT_FIRST + 1,
	      "every option needs its row");

const char *options_word(enum subcommand cmd)
{
	return command_defs[cmd].name;
}

/**
 * usage_option() - Explain one option
 * @out:	where to
 * @d:		the option
 */
static void usage_option(FILE *out, const struct option_def *d)
{
	const char *c;
	int n;

	n = fprintf(out, "  --%s%s%s", d->name, d->arg ? " " : "",
		    d->arg ? d->arg : "");
	fprintf(out, "%*s", n < 22 ? 22 - n : 1, "");
	for (c = d->help; *c; c++) {
		fputc(*c, out);
		if (*c == '\n')
			fprintf(out, "%22s", "");
	}
	fputc('\n', out);
}

/**
 * usage_all() - List the subcommands
 * @out:	where to
 */
static void usage_all(FILE *out)
{
	const struct command_def *c;

	fputs("usage: ferry COMMAND [ARGUMENTS]\n\n"
	      "Carries a running KVM guest from one machine to another.\n\n",
	      out);
	for (c = command_defs; c < command_defs + CMDS; c++)
		fprintf(out, "  %-10s%s\n", c->name, c->summary);
	fputs("\nURI is tcp:HOST:PORT or unix:PATH.\n"
	      "`ferry COMMAND --help` explains a command, `man ferry` all.\n",
	      out);
}

void options_usage(FILE *out, enum subcommand topic)
{
	const struct command_def *c = &command_defs[topic];
	const struct option_def *d;

	if (topic == CMD_HELP) {
		usage_all(out);
		return;
	}
	fprintf(out, "usage: ferry %s%s%s\n\n  %s\n\n", c->name,
		*c->synopsis ? " " : "", c->synopsis, c->summary);
	for (d = option_defs; d->name; d++)
		if (d->cmds & BIT(topic))
			usage_option(out, d);
}
