/* SPDX-License-Identifier: MIT */
/*
 * usage.h - Texts made of the tables of options.h (pure)
 */
#ifndef FERRY_USAGE_H
#define FERRY_USAGE_H

#include <stdio.h>

#include "options.h"

/** usage_print() - Print a subcommand's help text; CMDS: the list of all */
void usage_print(FILE *out, enum subcommand topic);

/**
 * usage_man() - Print what a man page has of the tables, as mdoc(7) source
 * @out:	receives the text: NAME, SYNOPSIS, and OPTIONS or COMMANDS
 * @topic:	subcommand, or CMDS for the page of ferry itself
 *
 * The Makefile adds the rest of the page, from docs/man.
 */
void usage_man(FILE *out, enum subcommand topic);

/** usage_completion() - Print a script for @shell, which is "bash" or "zsh" */
void usage_completion(FILE *out, const char *shell);

#endif /* FERRY_USAGE_H */
