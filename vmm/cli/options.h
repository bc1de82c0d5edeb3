/* SPDX-License-Identifier: MIT */
/*
 * options.h - The command line
 *
 * Pure: turns argv into a checked struct options, or into the reason why not.
 * Nothing is printed, opened or looked up. A table of subcommands and a table
 * of options (options.c) drive the parser and the help text.
 */
#ifndef FERRY_OPTIONS_H
#define FERRY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/base/error.h"

enum subcommand {
	CMD_RUN,
	CMD_RECEIVE,
	CMD_MIGRATE,
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
	CMD_HELP,
	CMD_VERSION,
	CMDS
};

/* Value of a number that may be 0, if its option is not given */
#define OPTION_ABSENT	UINT64_MAX

/**
 * struct options - A parsed command line
 * @cmd:	the subcommand; CMD_HELP also for its --help
 * @topic:	with CMD_HELP: the subcommand to explain; CMD_HELP for all
 * @name:	machine's name; NULL if only @control is given
 * @uri:	argument of migrate and receive
 * @file:	argument of dump
 *
 * @bandwidth:	bytes per second, 0 for no limit, or OPTION_ABSENT
 *
 * The other members are options, explained in the table in options.c; NULL, 0
 * or false if not given and without a default. Sizes are in bytes.
 */
struct options {
	enum subcommand cmd, topic;
	const char *name, *uri, *file;
	const char *kernel, *initrd, *append, *control, *serial, *log;
	const char *ram, *cpu, *cpu_vendor, *method;
	uint64_t memory, cpus, size, address, count, bandwidth, connections;
	uint64_t downtime_limit;
	bool paused, no_reboot, debug_exit, no_sandbox, raw, no_poison;
	bool json, detach, force;
};

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

/**
 * options_usage() - Print the help text
 * @out:	receives the text
 * @topic:	subcommand, or CMD_HELP for the list of all
 */
void options_usage(FILE *out, enum subcommand topic);

/**
 * options_word() - A subcommand's name
 * @cmd:	below CMDS
 *
 * Return: literal
 */
const char *options_word(enum subcommand cmd);

/**
 * options_find() - The options that subcommands take, one by one
 * @i:		index, from 0
 * @cmds:	receives a bit (1 << cmd) for each subcommand that takes it
 *
 * Return: the option's name without dashes, or NULL past the last
 */
const char *options_find(unsigned i, unsigned *cmds);

#endif /* FERRY_OPTIONS_H */
