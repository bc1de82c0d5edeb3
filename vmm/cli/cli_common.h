/* SPDX-License-Identifier: MIT */
/*
 * cli_common.h - What the subcommands that talk to a machine share
 *
 * Each subcommand is a function from options to exit status.
 */
#ifndef FERRY_CLI_COMMON_H
#define FERRY_CLI_COMMON_H

#include <jansson.h>

#include "cli.h"
#include "options.h"
#include "qmp_client.h"
#include "vmm/base/error.h"

/** cli_migrate() - Move a guest, and show how it goes; exit status */
int cli_migrate(const struct options *o);

/** cli_status() - Show what a machine is doing; exit status */
int cli_status(const struct options *o);

/** cli_dump() - Put guest memory into a file; exit status */
int cli_dump(const struct options *o);

/** cli_console() - Attach a terminal to a guest's serial port; exit status */
int cli_console(const struct options *o);

/** cli_list() - Show the machines that run here; exit status */
int cli_list(const struct options *o);

/**
 * cli_open() - Connect to the machine that the options name
 * @o:		the options: @control, else @name
 * @err:	why not
 *
 * Return: the client, or NULL
 */
struct qmp_client *cli_open(const struct options *o, struct error *err);

/**
 * cli_label() - What to call the machine in a message
 * @o:		the options
 *
 * Return: its name, or the path of its control socket
 */
const char *cli_label(const struct options *o);

/**
 * cli_fail() - Print what went wrong
 * @err:	a set error
 *
 * Return: CLI_FAILED
 */
int cli_fail(const struct error *err);

/**
 * cli_finish() - Make sure that the output is out
 * @status:	exit status so far
 *
 * Return: @status, or CLI_FAILED if standard output could not be written
 */
int cli_finish(int status);

/**
 * cli_print_json() - Print a value as one line
 * @value:	what to print
 */
void cli_print_json(const json_t *value);

/**
 * cli_get() - A member somewhere inside an object
 * @value:	the object, or NULL
 * @path:	names with dots between them, e.g. "ram.total"
 *
 * Return: borrowed reference, or NULL if it is not there
 */
json_t *cli_get(json_t *value, const char *path);

/**
 * cli_number() - A number somewhere inside an object
 * @value:	the object, or NULL
 * @path:	as for cli_get()
 *
 * Return: the number, 0 if it is not there or is none
 */
double cli_number(json_t *value, const char *path);

/**
 * cli_text() - A string somewhere inside an object
 * @value:	the object, or NULL
 * @path:	as for cli_get()
 * @missing:	what to say if it is not there
 *
 * Return: the string or @missing
 */
const char *cli_text(json_t *value, const char *path, const char *missing);

/**
 * cli_poisoned() - How much memory is poisoned
 * @list:	"poisoned" of query-status, or NULL
 *
 * Return: bytes
 */
double cli_poisoned(json_t *list);

/**
 * cli_signals() - Have SIGINT and SIGTERM come as input
 *
 * They are blocked from then on.
 *
 * Return: descriptor for qmp_watch(), or -1 if there is none: then they end
 *	   the program as usual
 */
int cli_signals(void);

struct dirent;

/** cli_is_socket() - Is it a control socket's name? For scandir(3) */
int cli_is_socket(const struct dirent *d);

#endif /* FERRY_CLI_COMMON_H */
