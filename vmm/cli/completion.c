// SPDX-License-Identifier: MIT
/*
 * completion.c - Shell completion made of the tables of options.h
 *
 * A script begins with a case for each subcommand: its options and arguments,
 * and what each value is: one of some words, or a kind (file, machine, uri,
 * command, none). What the shell does with them are files beside this one.
 */

#include <string.h>

#include "usage.h"
#include "vmm/base/embed.h"
#include "vmm/base/units.h"

EMBED_FILE(completion_bash, "vmm/cli/completion.bash");
EMBED_FILE(completion_zsh, "vmm/cli/completion.zsh");

static const char *const kinds[] = {
	[VALUE_PATH] = "file", [VALUE_PATHS] = "file",
	[VALUE_URI] = "uri", [VALUE_PEER] = "uri",
	[VALUE_COMMAND] = "command",
};

/* "a, b or c:X" as "a b c:" */
static void print_words(FILE *out, const char *words)
{
	size_t len;

	for (const char *w = words; *w; w += len + strspn(w + len, ", ")) {
		len = strcspn(w, ", ");
		if (strncmp(w, "or ", 3))
			fprintf(out, "%s%.*s%s", w > words ? " " : "",
				(int)strcspn(w, ":, "), w,
				memchr(w, ':', len) ? ":" : "");
	}
}

/* What the value of an option or argument is: its words, or a kind */
static void print_value(FILE *out, const struct option_def *d,
			const char *before, const char *open, const char *close)
{
	const char *kind = d->type == VALUE_NAME && !d->name ? "machine" :
			   d->type < ARRAY_SIZE(kinds) ? kinds[d->type] : NULL;

	if (!d->words) {
		fprintf(out, "%s%s", before, kind ? kind : "none");
		return;
	}
	fputs(open, out);
	print_words(out, d->words);
	fputs(close, out);
}

/* Inside '…', and inside […] of zsh */
static void print_help(FILE *out, const char *help)
{
	for (const char *c = help; *c; c++)
		if (*c == '\'')
			fputs("'\\''", out);
		else if (*c == '\n')
			fputc(' ', out);
		else
			fprintf(out, strchr("[]:", *c) ? "\\%c" : "%c", *c);
}

static void bash_spec(FILE *out, const struct option_def *d)
{
	fprintf(out, " %s%s", d->name ? "--" : "", d->name ? d->name : "");
	if (d->arg)
		print_value(out, d, "=", "='", "'");
}

static void zsh_spec(FILE *out, const struct option_def *d)
{
	fputs(" \\\n\t\t'", out);
	if (d->name) {
		fprintf(out, "--%s[", d->name);
		print_help(out, d->help);
		fputc(']', out);
	}
	if (d->arg) {
		fprintf(out, ":%s:", d->arg);
		print_value(out, d, "_ferry_", "(", ")");
	}
	fputc('\'', out);
}

/* A case of the shell for each subcommand, with a word for each of its rows */
static void print_rows(FILE *out, const char *start, const char *end,
		       void (*spec)(FILE *out, const struct option_def *d))
{
	fputs("\tcase $1 in\n", out);
	for (unsigned i = 0; i < CMDS; i++) {
		fprintf(out, "\t%s)%s", command_table[i].name, start);
		for (const struct option_def *d = NULL;
		     (d = option_next(i, d));)
			spec(out, d);
		fputs(end, out);
	}
	fputs("\tesac\n}\n", out);
}

static void bash_completion(FILE *out)
{
	fputs("# bash completion of ferry, made by `ferry completion bash`\n"
	      "_ferry_commands='", out);
	for (unsigned i = 0; i < CMDS; i++)
		fprintf(out, "%s%s", i ? " " : "", command_table[i].name);
	fputs("'\n_ferry_specs()\n{\n", out);
	print_rows(out, "\n\t\tspecs=(", ") ;;\n", bash_spec);
	fputs(completion_bash, out);
}

static void zsh_completion(FILE *out)
{
	fputs("#compdef ferry\n"
	      "# zsh completion of ferry, made by `ferry completion zsh`\n"
	      "_ferry_command() {\n\tlocal -a commands=(\n", out);
	for (unsigned i = 0; i < CMDS; i++) {
		fprintf(out, "\t\t'%s:", command_table[i].name);
		print_help(out, command_table[i].summary);
		fputs("'\n", out);
	}
	fputs("\t)\n\t_describe command commands\n}\n"
	      "_ferry_arguments() {\n", out);
	print_rows(out, "\n\t\t_arguments", " ;;\n", zsh_spec);
	fputs(completion_zsh, out);
}

void usage_completion(FILE *out, const char *shell)
{
	(strcmp(shell, "bash") ? zsh_completion : bash_completion)(out);
}
