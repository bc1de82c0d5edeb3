/* SPDX-License-Identifier: MIT */
/*
 * cli_common.h - Shared by the subcommands that talk to a machine
 */
#ifndef FERRY_CLI_COMMON_H
#define FERRY_CLI_COMMON_H

#include <jansson.h>

#include "cli.h"
#include "vmm/client/qmp_client.h"
#include "render.h"
#include "vmm/base/error.h"

/**
 * cli_command_fn - A subcommand
 * @o:		the options
 * @q:		connection to the machine; NULL if the command needs none
 * @err:	the cause of a failure, which cli_run() prints
 *
 * Return: exit status; CLI_FAILED if @err is set
 */
typedef int cli_command_fn(const struct options *o, struct qmp_client *q,
			   struct error *err);

cli_command_fn cli_console, cli_events, cli_migrate, cli_status;

/** cli_render() - What render() prints, as text for free(), never NULL */
char *cli_render(const char *template, json_t *value);

/**
 * cli_open() - Connect to a machine
 * @name:	machine's name, or NULL if only @control is known
 * @control:	its control socket, or NULL for the one that belongs to @name
 * @timeout_ms:	for every answer
 * @err:	the cause of a failure, as qmp_open()
 *
 * Return: the client, or NULL
 */
struct qmp_client *cli_open(const char *name, const char *control,
			    int timeout_ms, struct error *err);

/**
 * cli_query() - Query the state of a machine
 * @q:		the client
 * @status:	receives what query-status returned, with what query-migrate
 *		returned as "migration" (a new reference); NULL if it failed
 * @err:	the cause of a failure
 *
 * Return: 0, or as qmp_execute()
 */
int cli_query(struct qmp_client *q, json_t **status, struct error *err);

/* For cli_members() */
#define CLI_QMP		offsetof(struct option_def, qmp)
#define CLI_PARAMETER	offsetof(struct option_def, parameter)

/**
 * cli_members() - Members of a QMP command's arguments, from the options
 * @o:		the options
 * @column:	which have a name there: CLI_QMP, CLI_PARAMETER
 * @err:	the cause of a failure: a text that is not UTF-8
 *
 * Return: object with those that were given, or NULL
 */
json_t *cli_members(const struct options *o, size_t column, struct error *err);

/**
 * cli_path() - A path for a machine, whose current directory is another
 * @prefix:	copied in front of the path, e.g. "unix:"
 * @path:	as the user typed it
 * @err:	the cause of a failure
 *
 * Return: string, or NULL
 */
json_t *cli_path(const char *prefix, const char *path, struct error *err);

/** cli_label() - The machine in messages: its name, or its control socket */
const char *cli_label(const struct options *o);

/**
 * cli_flush() - Write the buffered standard output
 *
 * Reports a failure, once in a program.
 *
 * Return: 0, -EIO: a write failed, now or before
 */
int cli_flush(void);

/** cli_json() - A value as one line, for free() */
char *cli_json(const json_t *value);

/** cli_print_json() - Print a value as one line */
void cli_print_json(const json_t *value);

/**
 * cli_signals() - Block SIGINT and SIGTERM, and receive them as input
 *
 * Return: signalfd for qmp_watch(), or -1: then they end the program as usual
 */
int cli_signals(void);

#endif /* FERRY_CLI_COMMON_H */
