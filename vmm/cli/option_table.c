// SPDX-License-Identifier: MIT
/* option_table.c - The subcommands, and their options and arguments */

#include <assert.h>

#include "options.h"
#include "vmm/base/limits.h"
#include "vmm/base/units.h"

#define BIT(cmd) (1u << (cmd))
#define MACHINES (BIT(CMD_RUN) | BIT(CMD_RECEIVE))
#define ALL (BIT(CMDS) - 1)
#define CLIENTS                                                              \
	(ALL & ~(MACHINES | BIT(CMD_LIST) | BIT(CMD_WEB) |                   \
		 BIT(CMD_COMPLETION) | BIT(CMD_HELP) | BIT(CMD_VERSION)))

const struct command_def command_table[CMDS] = {
	[CMD_RUN] = { "run", "--name NAME --kernel FILE [OPTIONS]",
		"start a guest" },
	[CMD_RECEIVE] = { "receive", "--name NAME [OPTIONS] URI",
		"wait for a guest that migrates here, and run it" },
	[CMD_MIGRATE] = { "migrate", "[OPTIONS] NAME URI",
		"move a guest to another ferry" },
	[CMD_RECOVER] = { "recover", "[OPTIONS] NAME URI",
		"let a paused migration arrive at another address" },
	[CMD_RESOLVE] = { "resolve", "--run-here|--give-up NAME",
		"decide a hand-over in doubt; the other side is gone" },
	[CMD_POISON] = { "poison", "--address GPA [OPTIONS] NAME",
		"make pages of a guest unreadable, as failing memory would" },
	[CMD_DUMP] = { "dump", "[OPTIONS] NAME FILE",
		"write the memory of a guest to a file" },
	[CMD_STATUS] = { "status", "[OPTIONS] NAME",
		"show the state of a machine and its migration" },
	[CMD_LIST] = { "list", "[OPTIONS]",
		"list your machines on this host" },
	[CMD_STOP] = { "stop", "[OPTIONS] NAME", "pause a guest" },
	[CMD_CONT] = { "cont", "[OPTIONS] NAME", "resume a paused guest" },
	[CMD_RESET] = { "reset", "[OPTIONS] NAME",
		"reset a guest: it boots again, with empty memory" },
	[CMD_POWERDOWN] = { "powerdown", "[OPTIONS] NAME",
		"ask a guest to shut down, by its power button" },
	[CMD_QUIT] = { "quit", "[OPTIONS] NAME", "end a machine" },
	[CMD_EVENTS] = { "events", "[OPTIONS] NAME",
		"print the events of a machine, one a line" },
	[CMD_CONSOLE] = { "console", "[OPTIONS] NAME",
		"attach this terminal to a guest's serial port; Ctrl-] "
		"detaches" },
	[CMD_WEB] = { "web", "[OPTIONS]",
		"show this host's machines and migrations in a web page" },
	[CMD_COMPLETION] = { "completion", "SHELL",
		"print what completes ferry's commands in bash or zsh" },
	[CMD_HELP] = { "help", "[OPTIONS] [COMMAND]", "explain a command" },
	[CMD_VERSION] = { "version", "", "print the version of ferry" },
};
static_assert(CMDS < 32, "every subcommand needs its bit");

#define AT(member) offsetof(struct options, member)

const struct option_def option_table[] = {
	{ "name", "NAME", MACHINES, VALUE_NAME, AT(name),
	  .help = "the machine's name: letters, digits, '.', '_', '-'",
	  .required = MACHINES },
	{ "memory", "SIZE", BIT(CMD_RUN), VALUE_MIB, AT(memory),
	  .help = "RAM, 16M to 16T, a whole number of MiB; K, M, G, T\n"
		  "are powers of 1024, a plain number is MiB\n"
		  "(default 128M)",
	  .min = RAM_SIZE_MIN, .max = RAM_SIZE_MAX, .step = MIB },
	{ "cpus", "N", BIT(CMD_RUN), VALUE_COUNT, AT(cpus),
	  .help = "virtual CPUs, 1 to 64 (default 1)",
	  .min = 1, .max = MACHINE_CPUS_MAX },
	{ "kernel", "FILE", BIT(CMD_RUN), VALUE_PATH, AT(kernel),
	  .help = "kernel to boot: a Linux bzImage, or a 64-bit ELF\n"
		  "file with a PVH note", .required = BIT(CMD_RUN) },
	{ "initrd", "FILE", BIT(CMD_RUN), VALUE_PATH, AT(initrd),
	  .help = "initial RAM disk for the kernel" },
	{ "append", "STRING", BIT(CMD_RUN), VALUE_TEXT, AT(append),
	  .help = "boot arguments for the guest" },
	{ "ram", "KIND", MACHINES, VALUE_WORD, AT(ram),
	  .help = "kind of memory for the guest's RAM: anon, memfd, or\n"
		  "hugetlb (2 MiB pages from the pool: nr_hugepages);\n"
		  "default: anon; receive: as on the source",
	  .words = "anon, memfd or hugetlb" },
	{ "cpu", "MODEL", BIT(CMD_RUN), VALUE_WORD, AT(cpu),
	  .help = "features of the vCPUs: host (default), all that KVM\n"
		  "supports here, or baseline, the same on every host",
	  .words = "host or baseline" },
	{ "cpu-vendor", "VENDOR", BIT(CMD_RUN), VALUE_WORD, AT(cpu_vendor),
	  .help = "vendor in the guest's CPUID, which sets the format\n"
		  "of its machine checks: host (default), amd, intel",
	  .words = "host, amd or intel" },
	{ "serial", "WHERE", MACHINES, VALUE_WORD, AT(serial),
	  .help = "connect the guest's serial port to: stdio\n"
		  "(default), none, or file:PATH (output only)",
	  .words = "stdio, none or file:PATH" },
	{ "paused", NULL, BIT(CMD_RUN), VALUE_FLAG, AT(paused),
	  .help = "do not start the guest before `ferry cont`" },
	{ "debug-exit", NULL, BIT(CMD_RUN), VALUE_FLAG, AT(debug_exit),
	  .help = "let the guest end the machine, and determine the exit\n"
		  "status, by port 0xf4" },
	{ "no-reboot", NULL, MACHINES, VALUE_FLAG, AT(no_reboot),
	  .help = "end when the guest reboots, instead of resetting it" },
	{ "no-sandbox", NULL, MACHINES, VALUE_FLAG, AT(no_sandbox),
	  .help = "do not limit the system calls of this process" },
	{ "log", "FILE", MACHINES, VALUE_PATH, AT(log),
	  .help = "append a copy of ferry's messages to FILE" },
	{ "address", "GPA", BIT(CMD_POISON) | BIT(CMD_DUMP), VALUE_ADDRESS,
	  AT(address),
	  .help = "poison: guest-physical address in the first page;\n"
		  "dump: address of the first byte",
	  .required = BIT(CMD_POISON), .needs = "size", .max = INT64_MAX,
	  .qmp = "address" },
	{ "size", "SIZE", BIT(CMD_DUMP), VALUE_BYTES, AT(size),
	  .help = "how much to dump, e.g. 4K or 1M; a plain number is\n"
		  "bytes, as that of --address (default: all)",
	  .needs = "address", .min = 1, .max = RAM_SIZE_MAX },
	{ "raw", NULL, BIT(CMD_DUMP), VALUE_FLAG, AT(raw),
	  .help = "write plain bytes, not an ELF core file; fails if a\n"
		  "page is lost, and does not pause the guest",
	  .needs = "address" },
	{ "count", "N", BIT(CMD_POISON) | BIT(CMD_EVENTS), VALUE_COUNT,
	  AT(count),
	  .help = "poison: number of pages (default 1);\n"
		  "events: end after this number (default: no limit)",
	  .min = 1, .max = RAM_SIZE_MAX / (4 * KIB), .qmp = "count" },
	{ "method", "METHOD", BIT(CMD_POISON), VALUE_WORD, AT(method),
	  .help = "simulate (default): mark the page in the machine only;\n"
		  "hwpoison: the host loses the page until it reboots\n"
		  "(needs CAP_SYS_ADMIN and CONFIG_MEMORY_FAILURE);\n"
		  "auto: hwpoison where it is available",
	  .words = "simulate, hwpoison or auto", .qmp = "method" },
	{ "bandwidth", "SIZE", BIT(CMD_MIGRATE), VALUE_MIB, AT(bandwidth),
	  .help = "send at most this much per second, e.g. 100M, or 0 for\n"
		  "no limit; pages that a vCPU waits for are never\n"
		  "delayed (default: as set by QMP, at first no limit)",
	  .max = INT64_MAX,
	  .parameter = "max-postcopy-bandwidth max-bandwidth" },
	{ "max-bandwidth", "SIZE", BIT(CMD_MIGRATE), VALUE_MIB,
	  AT(max_bandwidth),
	  .help = "the same, for precopy passes alone",
	  .max = INT64_MAX, .parameter = "max-bandwidth" },
	{ "max-postcopy-bandwidth", "SIZE", BIT(CMD_MIGRATE), VALUE_MIB,
	  AT(max_postcopy_bandwidth),
	  .help = "the same, for postcopy alone",
	  .max = INT64_MAX, .parameter = "max-postcopy-bandwidth" },
	{ "no-poison", NULL, BIT(CMD_MIGRATE), VALUE_FLAG, AT(no_poison),
	  .help = "allow a guest without lost memory to move to a kernel\n"
		  "without UFFDIO_POISON (before Linux 6.6): it ends if\n"
		  "it needs a page that is lost during the migration",
	  .parameter = "!ferry-poison" },
	{ "connections", "N", BIT(CMD_MIGRATE), VALUE_COUNT, AT(connections),
	  .help = "connections that push pages, 1 to 8 (default 2)",
	  .min = 1, .max = CONNECTIONS_MAX, .parameter = "multifd-channels" },
	{ "downtime-limit", "MS", BIT(CMD_MIGRATE), VALUE_COUNT,
	  AT(downtime_limit),
	  .help = "resume the guest here if the hand-over keeps it paused\n"
		  "for longer than this (default 2000)",
	  .min = 1, .max = DOWNTIME_LIMIT_MAX, .parameter = "downtime-limit" },
	{ "precopy-passes", "N", BIT(CMD_MIGRATE), VALUE_TEXT,
	  AT(precopy_passes),
	  .help = "send RAM this often, 0 to 30 times, before the guest\n"
		  "moves; auto: until what is left fits the downtime limit\n"
		  "or does not shrink (default: as set by QMP, at first 0)",
	  .parameter = "ferry-precopy-passes" },
	{ "tls-dir", "DIR", MACHINES | BIT(CMD_MIGRATE), VALUE_PATH,
	  AT(tls_dir),
	  .help = "certificates and keys for tls:HOST:PORT (default:\n"
		  "~/.config/ferry/pki, else /etc/pki/ferry)",
	  .parameter = "ferry-tls-dir" },
	{ "tls-hostname", "NAME", BIT(CMD_MIGRATE), VALUE_TEXT,
	  AT(tls_hostname),
	  .help = "name that the destination's certificate must have\n"
		  "(default: the host of the URI)",
	  .parameter = "tls-hostname" },
	{ "require-tls", NULL, MACHINES | BIT(CMD_MIGRATE), VALUE_FLAG,
	  AT(require_tls),
	  .help = "refuse tcp:HOST:PORT",
	  .parameter = "ferry-require-tls" },
	{ "detach", NULL, BIT(CMD_MIGRATE), VALUE_FLAG, AT(detach),
	  .help = "start the migration, and do not wait for its end" },
	{ "resume", NULL, BIT(CMD_MIGRATE), VALUE_FLAG, AT(resume),
	  .help = "continue a migration that has lost its connection\n"
		  "(postcopy-paused); URI may be another address",
	  .qmp = "resume" },
	{ "recover-automatically", "WORD", BIT(CMD_MIGRATE), VALUE_YES,
	  AT(recover_automatically),
	  .help = "yes: reconnect after a lost connection; no: wait for\n"
		  "--resume (default: as set by QMP, at first yes)",
	  .words = "yes or no", .parameter = "ferry-recover-automatically" },
	{ "run-here", NULL, BIT(CMD_RESOLVE), VALUE_CHOICE, AT(run_here),
	  .help = "run the guest here; DANGER: if the other machine has\n"
		  "not ended for good, two copies of the guest run",
	  .qmp = "action" },
	{ "give-up", NULL, BIT(CMD_RESOLVE), VALUE_CHOICE, AT(give_up),
	  .help = "discard what is here of the guest", .qmp = "action" },
	{ "force", NULL, BIT(CMD_QUIT), VALUE_FLAG, AT(force),
	  .help = "also if the machine has pages that a guest which it\n"
		  "handed over still needs: that ends the guest",
	  .qmp = "ferry-force" },
	{ "watch", NULL, BIT(CMD_STATUS), VALUE_FLAG, AT(watch),
	  .help = "print the state again whenever it changes, until the\n"
		  "machine ends; on a terminal in the same place" },
	{ "control", "PATH", MACHINES | CLIENTS, VALUE_PATH, AT(control),
	  .help = "control socket, instead of the one that belongs to\n"
		  "the name; a command then needs no NAME argument" },
	{ "control", "PATH", BIT(CMD_WEB), VALUE_PATHS, AT(controls),
	  .help = "also show the machine with this control socket; may\n"
		  "be repeated" },
	{ "listen", "HOST:PORT", BIT(CMD_WEB), VALUE_TEXT, AT(listen),
	  .help = "address of the page (default 127.0.0.1:8080)" },
	{ "read-only", NULL, BIT(CMD_WEB), VALUE_FLAG, AT(read_only),
	  .help = "the page shows, and can change nothing" },
	{ "allow-remote", NULL, BIT(CMD_WEB), VALUE_FLAG, AT(allow_remote),
	  .help = "permit an address that other hosts can reach; there is\n"
		  "no encryption: prefer `ssh -L`" },
	{ "demo", NULL, BIT(CMD_WEB), VALUE_FLAG, AT(demo),
	  .help = "start a test guest and a waiting destination" },
	{ "replay", "FILE", BIT(CMD_WEB), VALUE_PATH, AT(replay),
	  .help = "show a recording that the page saved, not machines" },
	{ "json", NULL, BIT(CMD_MIGRATE) | BIT(CMD_POISON) | BIT(CMD_DUMP) |
			BIT(CMD_STATUS) | BIT(CMD_LIST) | BIT(CMD_EVENTS),
	  VALUE_FLAG, AT(json),
	  .help = "print one JSON value instead of text; with --watch, and\n"
		  "for events, one a line" },
	{ "man", NULL, BIT(CMD_HELP), VALUE_FLAG, AT(man),
	  .help = "print what the man page has of it, as mdoc(7) source" },
	{ "help", NULL, ALL, VALUE_HELP, .help = "print this text" },
	/* With --control the argument NAME may be left out */
	{ NULL, "NAME", CLIENTS, VALUE_NAME, AT(name), .required = ~0u },
	{ NULL, "FILE", BIT(CMD_DUMP), VALUE_PATH, AT(file), .required = ~0u },
	{ NULL, "URI", BIT(CMD_RECEIVE) | BIT(CMD_RECOVER), VALUE_URI, AT(uri),
	  .required = ~0u, .qmp = "uri" },
	{ NULL, "URI", BIT(CMD_MIGRATE), VALUE_PEER, AT(uri),
	  .required = ~0u, .qmp = "uri" },
	{ NULL, "SHELL", BIT(CMD_COMPLETION), VALUE_WORD, AT(shell),
	  .required = ~0u, .words = "bash or zsh" },
	{ NULL, "COMMAND", BIT(CMD_HELP), VALUE_COMMAND, .field = AT(topic) },
	{ 0 }
};
static_assert(ARRAY_SIZE(option_table) <= 64, "every option needs its bit");
