/* SPDX-License-Identifier: MIT */
/*
 * options.h - The command line
 *
 * Pure: turns argv into a checked struct options, or into the reason why not.
 * Nothing is printed, opened or looked up. Two tables say all: the subcommands,
 * and their options and arguments. The parser, the help texts, man pages and
 * shell completions (usage.h) and the arguments of QMP commands follow from
 * them.
 */
#ifndef FERRY_OPTIONS_H
#define FERRY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/error.h"

enum subcommand {
	CMD_RUN,
	CMD_RECEIVE,
	CMD_MIGRATE,
	CMD_RECOVER,
	CMD_RESOLVE,
	CMD_POISON,
	CMD_DUMP,
	CMD_STATUS,
	CMD_LIST,
	CMD_STOP,
	CMD_CONT,
	CMD_RESET,
	CMD_POWERDOWN,
	CMD_QUIT,
	CMD_EVENTS,
	CMD_CONSOLE,
	CMD_WEB,
	CMD_COMPLETION,
	CMD_HELP,
	CMD_VERSION,
	CMDS
};

#define OPTION_PATHS	8

/** struct option_paths - Values of an option that may be repeated */
struct option_paths {
	const char *at[OPTION_PATHS];
	unsigned n;
};

/**
 * struct options - A parsed command line
 * @cmd:	the subcommand; CMD_HELP also for its --help
 * @topic:	with CMD_HELP: the subcommand to explain; CMDS for all
 * @given:	bit i: row i of option_table was given
 * @name:	machine's name; NULL if only @control is given
 *
 * The other members belong to the rows of option_table; NULL, 0 or false if
 * not given and without a default. Sizes are in bytes.
 */
struct options {
	enum subcommand cmd, topic;
	uint64_t given;
	const char *name, *uri, *file;
	const char *kernel, *initrd, *append, *control, *serial, *log;
	const char *ram, *cpu, *cpu_vendor, *method;
	const char *recover_automatically, *precopy_passes;
	const char *tls_dir, *tls_hostname, *shell;
	uint64_t memory, cpus, size, address, count, bandwidth, connections;
	uint64_t downtime_limit;
	bool paused, no_reboot, debug_exit, no_sandbox, raw, no_poison;
	bool json, watch, detach, force, resume, run_here, give_up;
	bool require_tls, man, read_only, allow_remote, demo;
	const char *listen, *replay;
	struct option_paths controls;
};

/**
 * struct command_def - A subcommand
 * @name:	as it is typed
 * @synopsis:	what follows the name
 * @summary:	for the help text
 */
struct command_def {
	const char *name, *synopsis, *summary;
};

/* Types of values, and how struct options has them */
enum value_type {
	VALUE_HELP,	/* not stored: --help */
	VALUE_FLAG,	/* bool; the option takes no value */
	VALUE_CHOICE,	/* bool: exactly one of them must be given; in QMP its
			 * own name
			 */
	VALUE_NAME,	/* const char *: name of a machine */
	VALUE_TEXT,	/* const char *: any text */
	VALUE_PATH,	/* const char *: text, not empty */
	VALUE_PATHS,	/* struct option_paths: the same, may be repeated */
	VALUE_WORD,	/* const char *: one of @words */
	VALUE_YES,	/* const char *: yes or no; in QMP a boolean */
	VALUE_COMMAND,	/* enum subcommand */
	VALUE_URI,	/* const char *: address to listen at */
	VALUE_PEER,	/* const char *: address to connect to */
	VALUE_MIB,	/* uint64_t, bytes: 1.5G, 2MiB, 4kb; plain: MiB */
	VALUE_BYTES,	/* uint64_t, bytes: the same; plain, 0x: bytes */
	VALUE_COUNT,	/* uint64_t: a decimal number */
	VALUE_ADDRESS,	/* uint64_t: decimal, or hexadecimal after 0x */
};

/**
 * struct option_def - An option or an argument
 * @name:	without its dashes; NULL for an argument
 * @arg:	what the help text calls the value; NULL if there is none
 * @cmds:	subcommands that take it: bits (1 << cmd)
 * @type:	of the value
 * @field:	offset in struct options
 * @help:	for the help text; '\n' where a line ends
 * @required:	subcommands that need it: bits (1 << cmd)
 * @needs:	option that must be given as well, if the subcommand takes it
 * @words:	possible values: "a, b or c"; "c:X" stands for c: and any text
 * @min:	smallest number
 * @max:	largest number, at most INT64_MAX; not 0 if it is a number
 * @step:	the number is a multiple of this, if it is set
 * @qmp:	member of this name in the arguments of the QMP command
 * @parameter:	migration parameter of this name; "!NAME" for a flag that sets
 *		it to false
 */
struct option_def {
	const char *name, *arg;
	uint32_t cmds;
	enum value_type type;
	size_t field;
	const char *help;
	uint32_t required;
	const char *needs, *words;
	uint64_t min, max, step;
	const char *qmp, *parameter;
};

/* By enum subcommand */
extern const struct command_def command_table[CMDS];

/* Options, then arguments in the order in which they are typed; last {0} */
extern const struct option_def option_table[];

/**
 * option_next() - Walk the options and arguments of a subcommand
 * @cmd:	the subcommand
 * @d:		its last row, or NULL to begin
 *
 * Return: the next row that the subcommand takes, or NULL at the end
 */
const struct option_def *option_next(enum subcommand cmd,
				     const struct option_def *d);

/** options_given() - Was this row of option_table given? */
bool options_given(const struct options *o, const struct option_def *d);

/**
 * options_parse() - Parse a command line
 * @o:		filled in; points into @argv
 * @argc:	as main() has it
 * @argv:	as main() has it; getopt_long(3) may reorder it
 * @err:	names the option or argument that is wrong, and how to get help
 *
 * Not reentrant, because getopt_long(3) is not.
 *
 * Return: 0, -EINVAL, -ERANGE
 */
int options_parse(struct options *o, int argc, char **argv, struct error *err);

#endif /* FERRY_OPTIONS_H */
