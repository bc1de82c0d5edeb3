/* SPDX-License-Identifier: MIT */
/*
 * cli_common.h - Shared by the subcommands that talk to a machine
 */
#ifndef FERRY_CLI_COMMON_H
#define FERRY_CLI_COMMON_H

#include <limits.h>

#include <jansson.h>

#include "cli.h"
#include "qmp_client.h"
#include "vmm/base/error.h"

#define CLI_PATH_MAX	(2 * PATH_MAX)

/* One function per subcommand. Return: exit status */
int cli_console(const struct options *o);
int cli_dump(const struct options *o);
int cli_list(const struct options *o);
int cli_migrate(const struct options *o);
int cli_status(const struct options *o);

/**
 * cli_open() - Connect to the machine that the options name
 * @o:		the options: @control, else @name
 * @err:	the cause of a failure
 *
 * Return: the client, or NULL
 */
struct qmp_client *cli_open(const struct options *o, struct error *err);

/**
 * cli_call() - Connect to a machine, run one command, and disconnect
 * @o:		the options
 * @timeout_ms:	for the answer; -1 for no limit
 * @command:	QMP command
 * @args:	its arguments, whose reference is taken over, or NULL
 * @ret:	receives what it returned (a new reference), or NULL
 *
 * Prints the cause of a failure.
 *
 * Return: CLI_OK, or CLI_FAILED with *@ret NULL
 */
int cli_call(const struct options *o, int timeout_ms, const char *command,
	     json_t *args, json_t **ret);

/**
 * cli_absolute() - Make a path independent of the current directory
 * @prefix:	copied in front of the path, e.g. "unix:"
 * @path:	as the user typed it, for a machine with a directory of its own
 * @to:		receives both: CLI_PATH_MAX bytes
 * @err:	the cause of a failure
 *
 * Return: 0, -errno; -EILSEQ if JSON can't represent the path
 */
int cli_absolute(const char *prefix, const char *path, char *to,
		 struct error *err);

/**
 * cli_label() - The machine's name for messages
 * @o:		the options
 *
 * Return: its name, or the path of its control socket
 */
const char *cli_label(const struct options *o);

/**
 * cli_fail() - Print the cause of a failure
 * @err:	a set error
 *
 * Return: CLI_FAILED
 */
int cli_fail(const struct error *err);

/**
 * cli_flush() - Write the buffered standard output
 *
 * Reports a failure, once in a program.
 *
 * Return: 0, -EIO: a write failed, now or before
 */
int cli_flush(void);

/**
 * cli_print_json() - Print a value as one line
 * @value:	the value
 */
void cli_print_json(const json_t *value);

/**
 * cli_get() - A member somewhere inside an object
 * @value:	the object, or NULL
 * @path:	names with dots between them, e.g. "ram.total"
 *
 * Return: borrowed reference, or NULL if there is no such member
 */
json_t *cli_get(json_t *value, const char *path);

/**
 * cli_number() - A number somewhere inside an object
 * @value:	the object, or NULL
 * @path:	as for cli_get()
 *
 * Return: the number, 0 if there is no such member or it is not a number
 */
double cli_number(json_t *value, const char *path);

/**
 * cli_text() - A string somewhere inside an object
 * @value:	the object, or NULL
 * @path:	as for cli_get()
 * @missing:	returned if there is no such member
 *
 * Return: the string or @missing
 */
const char *cli_text(json_t *value, const char *path, const char *missing);

/**
 * cli_poisoned() - Size of the memory that is poisoned
 * @status:	what query-status returned
 *
 * Return: bytes
 */
double cli_poisoned(json_t *status);

/**
 * cli_signals() - Block SIGINT and SIGTERM, and receive them as input
 *
 * Return: signalfd for qmp_watch(), or -1: then they end the program as usual
 */
int cli_signals(void);

#endif /* FERRY_CLI_COMMON_H */
