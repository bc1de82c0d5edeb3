/* SPDX-License-Identifier: MIT */
/*
 * usage.h - Texts made of the tables of options.h (pure)
 */
#ifndef FERRY_USAGE_H
#define FERRY_USAGE_H

#include <stdio.h>

#include "options.h"

/**
 * usage_print() - Print the help text
 * @out:	receives the text
 * @topic:	subcommand, or CMDS for the list of all
 */
void usage_print(FILE *out, enum subcommand topic);

/**
 * usage_man() - Print what a man page has of the tables, as mdoc(7) source
 * @out:	receives the text: NAME, SYNOPSIS, and OPTIONS or COMMANDS
 * @topic:	subcommand, or CMDS for the page of ferry itself
 *
 * The Makefile adds the rest of the page, from docs/man.
 */
void usage_man(FILE *out, enum subcommand topic);

/**
 * usage_completion() - Print a shell's completion of ferry's commands
 * @out:	receives the script
 * @shell:	"bash" or "zsh"
 */
void usage_completion(FILE *out, const char *shell);

#endif /* FERRY_USAGE_H */
