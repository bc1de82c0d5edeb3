/* SPDX-License-Identifier: MIT */
/*
 * cli.h - The subcommands that talk to a machine
 */
#ifndef FERRY_CLI_H
#define FERRY_CLI_H

#include "options.h"

/* Exit statuses of ferry, as in its man page */
#define CLI_OK		0
#define CLI_FAILED	1
#define CLI_USAGE	2	/* returned by main() */
#define CLI_PAUSED	3	/* migrate: postcopy-paused */
#define CLI_INTERRUPTED	130	/* migrate: Ctrl-C; the migration goes on */

/**
 * cli_run() - Run any subcommand but run and receive
 * @o:		checked options
 *
 * Prints the result on standard output, and the cause of a failure on standard
 * error. Does not depend on whether SIGPIPE is ignored.
 *
 * Return: exit status
 */
int cli_run(const struct options *o);

#endif /* FERRY_CLI_H */
