// SPDX-License-Identifier: MIT
/*
 * options.c - The command line
 *
 * getopt_long(3) finds the options; each is checked and stored by the type in
 * its row of the table. The arguments that remain are stored by the synopsis of
 * the subcommand. Last, the parser checks that nothing required is missing.
 */

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <string.h>

#include "options.h"
#include "options_value.h"
#include "vmm/base/limits.h"
#include "vmm/base/runtime.h"
#include "vmm/base/units.h"
#include "vmm/base/uri.h"

#define BIT(cmd) (1u << (cmd))
#define MACHINES (BIT(CMD_RUN) | BIT(CMD_RECEIVE))
#define CLIENTS                                                              \
	(BIT(CMD_MIGRATE) | BIT(CMD_POISON) | BIT(CMD_DUMP) |                \
	 BIT(CMD_STATUS) | BIT(CMD_STOP) | BIT(CMD_CONT) | BIT(CMD_RESET) |  \
	 BIT(CMD_POWERDOWN) | BIT(CMD_QUIT) | BIT(CMD_EVENTS) | BIT(CMD_CONSOLE))
#define ALL (BIT(CMDS) - 1)

/* What follows the last ']' of a synopsis are the arguments: NAME, URI, FILE */
static const struct {
	const char *name, *synopsis, *summary;
} commands[] = {
	[CMD_RUN] = { "run", "--name NAME --kernel FILE [OPTIONS]",
		"start a guest" },
	[CMD_RECEIVE] = { "receive", "--name NAME [OPTIONS] URI",
		"wait for a guest that migrates here, and run it" },
	[CMD_MIGRATE] = { "migrate", "[OPTIONS] NAME URI",
		"move a guest to another ferry" },
	[CMD_POISON] = { "poison", "--address GPA [OPTIONS] NAME",
		"make pages of a guest unreadable, as failing memory would" },
	[CMD_DUMP] = { "dump", "[OPTIONS] NAME FILE",
		"write the memory of a guest to a file" },
	[CMD_STATUS] = { "status", "[OPTIONS] NAME",
		"show the state of a machine and its migration" },
	[CMD_LIST] = { "list", "[--json]",
		"list your machines on this host" },
	[CMD_STOP] = { "stop", "[OPTIONS] NAME", "pause a guest" },
	[CMD_CONT] = { "cont", "[OPTIONS] NAME", "resume a paused guest" },
	[CMD_RESET] = { "reset", "[OPTIONS] NAME",
		"reset a guest: it boots again, with empty memory" },
	[CMD_POWERDOWN] = { "powerdown", "[OPTIONS] NAME",
		"ask a guest to shut down, by its power button" },
	[CMD_QUIT] = { "quit", "[OPTIONS] NAME", "end a machine" },
	[CMD_EVENTS] = { "events", "[OPTIONS] NAME",
		"print the events of a machine, one JSON object a line" },
	[CMD_CONSOLE] = { "console", "[OPTIONS] NAME",
		"attach this terminal to a guest's serial port; Ctrl-] "
		"detaches" },
	[CMD_HELP] = { "help", "[COMMAND]", "explain a command" },
	[CMD_VERSION] = { "version", "", "print the version of ferry" },
};
static_assert(ARRAY_SIZE(commands) == CMDS && CMDS < 32,
	      "every subcommand needs its row and its bit");

enum value_type {
	TYPE_HELP,
	TYPE_FLAG,	/* bool, no value */
	TYPE_NAME,	/* name of a machine */
	TYPE_TEXT,	/* any text */
	TYPE_PATH,	/* text, not empty */
	TYPE_WORD,	/* one of @words */
	TYPE_RAM,	/* uint64_t, bytes, a size that RAM can have */
	TYPE_SIZE,	/* uint64_t, bytes, at least @limit; plain: MiB */
	TYPE_BYTES,	/* uint64_t, bytes, at least @limit; plain: bytes */
	TYPE_COUNT,	/* uint64_t, from 1 to @limit */
	TYPE_ADDRESS,	/* uint64_t */
};

struct option_def {
	const char *name, *arg;		/* arg: NULL if it takes no value */
	unsigned cmds;			/* subcommands that take it */
	enum value_type type;
	size_t field;			/* offset in struct options */
	const char *help;		/* '\n' where a line ends */
	unsigned required;		/* subcommands that need it */
	const char *words;		/* "a, b or c"; "c:X" takes any text */
	uint64_t limit;
};

#define AT(member) offsetof(struct options, member)

static const struct option_def options[] = {
	{ "name", "NAME", MACHINES, TYPE_NAME, AT(name),
	  .help = "the machine's name: letters, digits, '.', '_', '-'",
	  .required = MACHINES },
	{ "memory", "SIZE", BIT(CMD_RUN), TYPE_RAM, AT(memory),
	  .help = "RAM, 16M to 16T, a whole number of MiB; K, M, G, T\n"
		  "are powers of 1024, a plain number is MiB\n"
		  "(default 128M)" },
	{ "cpus", "N", BIT(CMD_RUN), TYPE_COUNT, AT(cpus),
	  .help = "virtual CPUs, 1 to 64 (default 1)",
	  .limit = MACHINE_CPUS_MAX },
	{ "kernel", "FILE", BIT(CMD_RUN), TYPE_PATH, AT(kernel),
	  .help = "kernel to boot: a Linux bzImage, or a 64-bit ELF\n"
		  "file with a PVH note", .required = BIT(CMD_RUN) },
	{ "initrd", "FILE", BIT(CMD_RUN), TYPE_PATH, AT(initrd),
	  .help = "initial RAM disk for the kernel" },
	{ "append", "STRING", BIT(CMD_RUN), TYPE_TEXT, AT(append),
	  .help = "boot arguments for the guest" },
	{ "ram", "KIND", MACHINES, TYPE_WORD, AT(ram),
	  .help = "kind of memory for the guest's RAM: anon, memfd, or\n"
		  "hugetlb (2 MiB pages from the pool: nr_hugepages);\n"
		  "default: anon; receive: as on the source",
	  .words = "anon, memfd or hugetlb" },
	{ "cpu", "MODEL", BIT(CMD_RUN), TYPE_WORD, AT(cpu),
	  .help = "features of the vCPUs: host (default), all that KVM\n"
		  "supports here, or baseline, the same on every host",
	  .words = "host or baseline" },
	{ "cpu-vendor", "VENDOR", BIT(CMD_RUN), TYPE_WORD, AT(cpu_vendor),
	  .help = "vendor in the guest's CPUID, which sets the format\n"
		  "of its machine checks: host (default), amd, intel",
	  .words = "host, amd or intel" },
	{ "serial", "WHERE", MACHINES, TYPE_WORD, AT(serial),
	  .help = "connect the guest's serial port to: stdio\n"
		  "(default), none, or file:PATH (output only)",
	  .words = "stdio, none or file:PATH" },
	{ "paused", NULL, BIT(CMD_RUN), TYPE_FLAG, AT(paused),
	  .help = "do not start the guest before `ferry cont`" },
	{ "debug-exit", NULL, BIT(CMD_RUN), TYPE_FLAG, AT(debug_exit),
	  .help = "let the guest end the machine, and determine the exit\n"
		  "status, by port 0xf4" },
	{ "no-reboot", NULL, MACHINES, TYPE_FLAG, AT(no_reboot),
	  .help = "end when the guest reboots, instead of resetting it" },
	{ "no-sandbox", NULL, MACHINES, TYPE_FLAG, AT(no_sandbox),
	  .help = "do not limit the system calls of this process" },
	{ "log", "FILE", MACHINES, TYPE_PATH, AT(log),
	  .help = "append a copy of ferry's messages to FILE" },
	{ "address", "GPA", BIT(CMD_POISON) | BIT(CMD_DUMP), TYPE_ADDRESS,
	  AT(address),
	  .help = "poison: guest-physical address in the first page;\n"
		  "dump: address of the first byte",
	  .required = BIT(CMD_POISON) },
	{ "size", "SIZE", BIT(CMD_DUMP), TYPE_BYTES, AT(size),
	  .help = "how much to dump, e.g. 4K or 1M; a plain number is\n"
		  "bytes, as that of --address (default: all)",
	  .limit = 1 },
	{ "raw", NULL, BIT(CMD_DUMP), TYPE_FLAG, AT(raw),
	  .help = "write plain bytes, not an ELF core file; fails if a\n"
		  "page is lost, and does not pause the guest" },
	{ "count", "N", BIT(CMD_POISON) | BIT(CMD_EVENTS), TYPE_COUNT,
	  AT(count),
	  .help = "poison: number of pages (default 1);\n"
		  "events: end after this number (default: no limit)",
	  .limit = RAM_SIZE_MAX / (4 * KIB) },
	{ "method", "METHOD", BIT(CMD_POISON), TYPE_WORD, AT(method),
	  .help = "simulate (default): mark the page in the machine only;\n"
		  "hwpoison: the host loses the page until it reboots\n"
		  "(needs CAP_SYS_ADMIN and CONFIG_MEMORY_FAILURE);\n"
		  "auto: hwpoison where it is available",
	  .words = "simulate, hwpoison or auto" },
	{ "bandwidth", "SIZE", BIT(CMD_MIGRATE), TYPE_SIZE, AT(bandwidth),
	  .help = "push at most this much per second, e.g. 100M, or 0 for\n"
		  "no limit; pages that a vCPU waits for are never\n"
		  "delayed (default: as set before, at first no limit)" },
	{ "no-poison", NULL, BIT(CMD_MIGRATE), TYPE_FLAG, AT(no_poison),
	  .help = "allow a guest without lost memory to move to a kernel\n"
		  "without UFFDIO_POISON (before Linux 6.6): it ends if\n"
		  "it needs a page that is lost during the migration" },
	{ "connections", "N", BIT(CMD_MIGRATE), TYPE_COUNT, AT(connections),
	  .help = "connections that push pages, 1 to 8 (default 2)",
	  .limit = CONNECTIONS_MAX },
	{ "downtime-limit", "MS", BIT(CMD_MIGRATE), TYPE_COUNT,
	  AT(downtime_limit),
	  .help = "resume the guest here if the hand-over keeps it paused\n"
		  "for longer than this (default 2000)",
	  .limit = DOWNTIME_LIMIT_MAX },
	{ "detach", NULL, BIT(CMD_MIGRATE), TYPE_FLAG, AT(detach),
	  .help = "start the migration, and do not wait for its end" },
	{ "force", NULL, BIT(CMD_QUIT), TYPE_FLAG, AT(force),
	  .help = "also if the machine has pages that a guest which it\n"
		  "handed over still needs: that ends the guest" },
	{ "control", "PATH", MACHINES | CLIENTS, TYPE_PATH, AT(control),
	  .help = "control socket, instead of the one that belongs to\n"
		  "the name; a command then needs no NAME argument" },
	{ "json", NULL, BIT(CMD_MIGRATE) | BIT(CMD_POISON) | BIT(CMD_DUMP) |
			BIT(CMD_STATUS) | BIT(CMD_LIST), TYPE_FLAG, AT(json),
	  .help = "print one JSON value instead of text" },
	{ "help", NULL, ALL, TYPE_HELP, 0, .help = "print this text" },
};
static_assert(ARRAY_SIZE(options) <= 32, "every option needs its bit");

/* getopt_long(3) returns the index of a row plus this, above any character */
#define OPTION_ID 256

const char *options_word(enum subcommand cmd)
{
	return commands[cmd].name;
}

const char *options_find(unsigned i, unsigned *cmds)
{
	if (i >= ARRAY_SIZE(options))
		return NULL;
	*cmds = options[i].cmds;
	return options[i].name;
}

/* Return: CMDS if there is no such subcommand */
static enum subcommand find_command(const char *word)
{
	unsigned i = 0;

	if (!strcmp(word, "--help") || !strcmp(word, "-h"))
		return CMD_HELP;
	if (!strcmp(word, "--version") || !strcmp(word, "-V"))
		return CMD_VERSION;
	while (i < CMDS && strcmp(word, commands[i].name))
		i++;
	return i;
}

static int unknown_command(const char *word, struct error *err)
{
	return error_set(err, EINVAL, "unknown command '%.64s'; `ferry help` "
			 "lists the commands", word);
}

static int check_word(const struct option_def *d, const char *text,
		      struct error *err)
{
	size_t len, same;

	for (const char *w = d->words; *w; w += len + strspn(w + len, ", ")) {
		len = strcspn(w, ", ");
		same = strcspn(w, ":, ");
		if (!strncmp(w, "or ", 3) || strncmp(w, text, same))
			continue;
		if (same == len ? !text[len] : text[same] == ':' &&
					       text[same + 1])
			return 0;
	}
	return error_set(err, EINVAL, "--%s: '%.64s' is unknown; use %s",
			 d->name, text, d->words);
}

static int check_ram(uint64_t bytes, const char *text, struct error *err)
{
	if (bytes < RAM_SIZE_MIN || bytes > RAM_SIZE_MAX)
		return error_set(err, ERANGE, "--memory: %.64s is not between "
				 "%lluM and %lluT", text, RAM_SIZE_MIN / MIB,
				 RAM_SIZE_MAX / TIB);
	return bytes % MIB ? error_set(err, EINVAL, "--memory: %.64s is not a "
				       "whole number of MiB", text) : 0;
}

/* Check the value of an option, and store it in its field */
static int store_option(struct options *o, const struct option_def *d,
			const char *text, struct error *err)
{
	void *field = (char *)o + d->field;
	char what[32];
	int rc = 0;

	snprintf(what, sizeof(what), "--%s", d->name);
	switch (d->type) {
	case TYPE_HELP:
		return 0;
	case TYPE_FLAG:
		*(bool *)field = true;
		return 0;
	case TYPE_RAM:
		rc = parse_size(what, text, PLAIN_MIB, field, err);
		return rc ? rc : check_ram(*(uint64_t *)field, text, err);
	case TYPE_SIZE:
	case TYPE_BYTES:
		rc = parse_size(what, text, d->type == TYPE_SIZE ? PLAIN_MIB
				: PLAIN_BYTES, field, err);
		return rc || *(uint64_t *)field >= d->limit ? rc :
		       error_set(err, ERANGE, "%s must not be 0", what);
	case TYPE_COUNT:
		return parse_count(what, text, d->limit, field, err);
	case TYPE_ADDRESS:
		return parse_address(what, text, field, err);
	case TYPE_NAME:
		rc = runtime_check_name(text, err);
		break;
	case TYPE_WORD:
		rc = check_word(d, text, err);
		break;
	case TYPE_PATH:
		if (!*text)
			rc = error_set(err, EINVAL, "%s: the path is empty",
				       what);
		break;
	case TYPE_TEXT:
		break;
	}
	if (!rc)
		*(const char **)field = text;
	return rc;
}

/* Explain what getopt_long(3) rejected: @code is what it returned */
static int bad_option(const struct options *o, int code, const char *typed,
		      struct error *err)
{
	const char *cmd = options_word(o->cmd);
	const struct option_def *d = optopt >= OPTION_ID ?
				     &options[optopt - OPTION_ID] : NULL;

	if (d && code == ':')
		return error_set(err, EINVAL, "--%s needs a value: %s", d->name,
				 d->arg);
	if (d)
		return error_set(err, EINVAL, "--%s takes no value", d->name);
	if (optopt)
		return error_set(err, EINVAL, "unknown option '-%c'; see "
				 "`ferry %s --help`", optopt, cmd);
	return error_set(err, EINVAL, "unknown or ambiguous option '%.64s'; "
			 "see `ferry %s --help`", typed, cmd);
}

/* Reorders @argv, so that the arguments that are not options start at optind */
static int parse_options(struct options *o, int argc, char **argv,
			 unsigned *seen, struct error *err)
{
	struct option list[ARRAY_SIZE(options) + 1], *l = list;
	const struct option_def *d;
	int c, rc;

	for (d = options; d < options + ARRAY_SIZE(options); d++)
		if (d->cmds & BIT(o->cmd))
			*l++ = (struct option){
				.name = d->name,
				.has_arg = d->arg ? required_argument
						  : no_argument,
				.val = OPTION_ID + (int)(d - options),
			};
	*l = (struct option){ 0 };

	optind = 0;		/* glibc: start a new command line */
	while ((c = getopt_long(argc, argv, ":h", list, NULL)) != -1) {
		if (c != 'h' && c < OPTION_ID)
			return bad_option(o, c, argv[optind - 1], err);
		d = c == 'h' ? &options[ARRAY_SIZE(options) - 1]
			     : &options[c - OPTION_ID];
		if (d->type == TYPE_HELP) {
			o->topic = o->cmd;
			o->cmd = CMD_HELP;
			return 0;
		}
		if (*seen & BIT(d - options))
			return error_set(err, EINVAL, "--%s is given twice",
					 d->name);
		*seen |= BIT(d - options);
		rc = store_option(o, d, optarg, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int missing(const struct options *o, const char *what, const char *arg,
		   struct error *err)
{
	return error_set(err, EINVAL, "%s %s is missing; usage: ferry %s %s",
			 what, arg, options_word(o->cmd),
			 commands[o->cmd].synopsis);
}

static int store_uri(struct options *o, const char *text, struct error *err)
{
	struct uri uri;
	int rc = uri_parse(text, &uri, err);

	o->uri = text;
	if (!rc && o->cmd == CMD_MIGRATE && uri.kind != URI_UNIX &&
	    !uri.host[0])
		return error_set(err, EINVAL, "'%.200s' names no destination "
				 "host", text);
	return rc;
}

static int store_word(struct options *o, const char *arg, char *text,
		      struct error *err)
{
	if (!strcmp(arg, "URI"))
		return store_uri(o, text, err);
	if (!strcmp(arg, "FILE"))
		o->file = text;
	else
		o->name = text;
	return o->name == text ? runtime_check_name(text, err) : 0;
}

/* With --control the argument NAME may be left out */
static int parse_words(struct options *o, int n, char **words,
		       struct error *err)
{
	const char *synopsis = commands[o->cmd].synopsis, *rest, *arg;
	char copy[100], *save;
	int i = 0, rc = 0, args = 0;

	rest = strrchr(synopsis, ']');
	snprintf(copy, sizeof(copy), "%s", rest ? rest + 1 : "");
	for (rest = copy; *rest; rest++)
		args += *rest == ' ';
	for (arg = strtok_r(copy, " ", &save); arg && !rc;
	     arg = strtok_r(NULL, " ", &save)) {
		if (!strcmp(arg, "NAME") && o->control && n < args)
			continue;
		rc = i < n ? store_word(o, arg, words[i++], err)
			   : missing(o, "the", arg, err);
	}
	if (rc || i == n)
		return rc;
	return error_set(err, EINVAL, "'%.64s' is one argument too many; usage: "
			 "ferry %s %s", words[i], options_word(o->cmd),
			 synopsis);
}

static int check_required(const struct options *o, unsigned seen,
			  struct error *err)
{
	const struct option_def *d;
	bool address = false;
	char what[40];

	for (d = options; d < options + ARRAY_SIZE(options); d++) {
		if (seen & BIT(d - options)) {
			address = address || d->type == TYPE_ADDRESS;
		} else if (d->required & BIT(o->cmd)) {
			snprintf(what, sizeof(what), "--%s", d->name);
			return missing(o, what, d->arg, err);
		}
	}
	/* A range to dump needs both, and --raw needs a range */
	if (o->cmd == CMD_DUMP && !address && (o->raw || o->size))
		return missing(o, "--address", "GPA", err);
	if (o->cmd == CMD_DUMP && address && !o->size)
		return missing(o, "--size", "SIZE", err);
	return 0;
}

int options_parse(struct options *o, int argc, char **argv, struct error *err)
{
	unsigned seen = 0;
	int rc;

	*o = (struct options){
		.cmd = CMD_HELP, .topic = CMD_HELP, .append = "",
		.serial = "stdio", .memory = 128 * MIB, .cpus = 1,
		.method = "simulate", .cpu = "host", .cpu_vendor = "host",
		.bandwidth = OPTION_ABSENT,
	};
	if (argc < 2)
		return error_set(err, EINVAL, "no command is given; `ferry "
				 "help` lists the commands");

	o->cmd = find_command(argv[1]);
	if (o->cmd == CMDS)
		return unknown_command(argv[1], err);
	if (o->cmd == CMD_HELP) {
		o->topic = argc > 2 ? find_command(argv[2]) : CMD_HELP;
		return o->topic < CMDS ? 0 : unknown_command(argv[2], err);
	}
	o->ram = o->cmd == CMD_RUN ? "anon" : NULL;
	o->count = o->cmd == CMD_POISON;

	rc = parse_options(o, argc - 1, argv + 1, &seen, err);
	if (rc || o->cmd == CMD_HELP)
		return rc;
	rc = parse_words(o, argc - 1 - optind, argv + 1 + optind, err);
	return rc ? rc : check_required(o, seen, err);
}

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

static void usage_all(FILE *out)
{
	fputs("usage: ferry COMMAND [ARGUMENTS]\n\n"
	      "Moves a running KVM guest from one host to another.\n\n", out);
	for (unsigned i = 0; i < CMDS; i++)
		fprintf(out, "  %-10s%s\n", commands[i].name,
			commands[i].summary);
	fputs("\nURI is tcp:HOST:PORT or unix:PATH.\n"
	      "`ferry COMMAND --help` explains a command, `man ferry` all.\n",
	      out);
}

void options_usage(FILE *out, enum subcommand topic)
{
	if (topic == CMD_HELP) {
		usage_all(out);
		return;
	}
	fprintf(out, "usage: ferry %s%s%s\n\n  %s\n\n", commands[topic].name,
		*commands[topic].synopsis ? " " : "", commands[topic].synopsis,
		commands[topic].summary);
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].cmds & BIT(topic))
			usage_option(out, &options[i]);
}
