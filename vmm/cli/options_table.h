/* SPDX-License-Identifier: MIT */
/*
 * options_table.h - Which subcommand takes which options
 */
#ifndef FERRY_OPTIONS_TABLE_H
#define FERRY_OPTIONS_TABLE_H

#include "options.h"

/* What getopt_long(3) returns: above every character */
enum option_id {
	OPT_FIRST = 256,
	OPT_NAME = OPT_FIRST,
	OPT_MEMORY,
	OPT_CPUS,
	OPT_KERNEL,
	OPT_INITRD,
	OPT_APPEND,
	OPT_RAM,
	OPT_CPU,
	OPT_CPU_VENDOR,
	OPT_SERIAL,
	OPT_PAUSED,
	OPT_NO_REBOOT,
	OPT_LOG,
	OPT_CONTROL,
	OPT_ADDRESS,
	OPT_SIZE,
	OPT_RAW,
	OPT_COUNT,
	OPT_METHOD,
	OPT_BANDWIDTH,
	OPT_NO_POISON,
	OPT_CONNECTIONS,
	OPT_DETACH,
	OPT_JSON,
	OPT_HELP,
	OPT_END
};

/**
 * struct option_def - One option
 * @name:	without the dashes
 * @id:		what it is
 * @arg:	what its value is called, or NULL if it has none
 * @cmds:	bit (1 << cmd) for each subcommand that takes it
 * @help:	what it does; '\n' where a line ends
 */
struct option_def {
	const char *name;
	enum option_id id;
	const char *arg;
	unsigned cmds;
	const char *help;
};

/**
 * struct command_def - One subcommand
 * @name:	the word
 * @synopsis:	its arguments, after "ferry WORD "
 * @summary:	one line
 * @machine:	its first argument is a machine's name
 * @uri:	its last argument is a URI
 */
struct command_def {
	const char *name;
	const char *synopsis;
	const char *summary;
	bool machine;
	bool uri;
};

/* One row per enum subcommand */
extern const struct command_def command_defs[CMDS];

/* Ends with a NULL name */
extern const struct option_def option_defs[];

#endif /* FERRY_OPTIONS_TABLE_H */
