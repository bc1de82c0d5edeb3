/* SPDX-License-Identifier: MIT */
/*
 * options.h - The command line
 *
 * Pure: from argv to a checked struct options, or to the reason why not.
 * Nothing is printed, opened or looked up. One table of subcommands and one
 * of options (options_table.c) drive the parser and the usage text both.
 */
#ifndef FERRY_OPTIONS_H
#define FERRY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/base/error.h"
#include "vmm/memory/ram.h"

#define CPUS_MAX 64
#define CONNECTIONS_MAX 8

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
	CMD_QUIT,
	CMD_EVENTS,
	CMD_CONSOLE,
	CMD_HELP,
	CMD_VERSION,
	CMDS
};

enum serial_kind {
	SERIAL_STDIO,
	SERIAL_NONE,
	SERIAL_FILE,
};

/**
 * struct options - What was asked for
 * @cmd:	the subcommand; CMD_HELP also for its --help
 * @topic:	with CMD_HELP: what about; CMD_HELP for all
 * @name:	the machine's; NULL if only @control is known
 * @uri:	where to migrate to, or to receive at
 * @kernel:	file
 * @initrd:	file, or NULL
 * @append:	guest's boot arguments, "" if none
 * @control:	path of the control socket, or NULL for the name's own
 * @serial:	where the guest's serial port goes
 * @serial_path: with SERIAL_FILE
 * @log:	file that gets a copy of the messages, or NULL
 * @memory:	bytes
 * @cpus:	number of vCPUs
 * @ram:	kind of RAM
 * @ram_given:	it was said, and not left to the default
 * @cpu:	"host" or "baseline"
 * @cpu_vendor:	"host", "amd" or "intel"
 * @paused:	do not start the guest
 * @no_reboot:	end when the guest wants a reset
 * @file:	where a dump goes
 * @raw:	a dump of bytes as they are
 * @size:	bytes to dump; 0 for all
 * @address:	guest-physical, of the first page to poison, or to dump
 * @count:	pages to poison, or events to wait for (0: no limit)
 * @method:	"auto", "hwpoison" or "simulate"
 * @bandwidth:	limit of the push, bytes per second; 0 for none
 * @no_poison:	a guest without lost memory may go where poison can't
 * @connections: that push, 1 to CONNECTIONS_MAX; 0 for the machine's own default
 * @json:	print JSON
 * @detach:	do not wait for the migration's end
 */
struct options {
	enum subcommand cmd;
	enum subcommand topic;
	const char *name;
	const char *uri;
	const char *kernel;
	const char *initrd;
	const char *append;
	const char *control;
	enum serial_kind serial;
	const char *serial_path;
	const char *log;
	uint64_t memory;
	unsigned cpus;
	enum ram_backing ram;
	bool ram_given;
	const char *cpu;
	const char *cpu_vendor;
	bool paused;
	const char *file;
	bool raw;
	uint64_t size;
	bool no_reboot;
	uint64_t address;
	uint64_t count;
	const char *method;
	uint64_t bandwidth, connections;
	bool no_poison;
	bool json;
	bool detach;
};

/**
 * options_parse() - Understand a command line
 * @o:		filled in; points into @argv
 * @argc:	as main() has it
 * @argv:	as main() has it; getopt_long(3) may reorder it
 * @err:	names the option or argument that is wrong, and how to ask for
 *		help
 *
 * Not reentrant, because getopt_long(3) is not.
 *
 * Return: 0, -EINVAL, -ERANGE, -EOPNOTSUPP (known, but not done yet)
 */
int options_parse(struct options *o, int argc, char **argv, struct error *err);

/**
 * options_usage() - Explain the command line
 * @out:	where to
 * @topic:	subcommand, or CMD_HELP for the list of them
 */
void options_usage(FILE *out, enum subcommand topic);

/**
 * options_word() - A subcommand's name
 * @cmd:	below CMDS
 *
 * Return: literal
 */
const char *options_word(enum subcommand cmd);

#endif /* FERRY_OPTIONS_H */
