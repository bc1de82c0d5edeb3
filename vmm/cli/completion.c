// SPDX-License-Identifier: MIT
/*
 * completion.c - Shell completion made of the tables of options.h
 *
 * A script has a row for each subcommand with its options and arguments, and
 * what each value is: one of some words, or a kind that a function of the
 * script knows (file, machine, uri, command, none).
 */

#include <string.h>

#include "usage.h"
#include "vmm/base/units.h"

static const char *const kinds[] = {
	[VALUE_PATH] = "file", [VALUE_PATHS] = "file",
	[VALUE_URI] = "uri", [VALUE_PEER] = "uri",
	[VALUE_COMMAND] = "command",
};

static const char bash_start[] =
	"# bash completion of ferry, made by `ferry completion bash`\n"
	"_ferry()\n{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} i s word kind= options=\n"
	"\tlocal specs=() arguments=() commands='";
static const char bash_end[] =
	"\tesac\n"
	"\tfor s in \"${specs[@]}\"; do\n"
	"\t\tcase $s in\n"
	"\t\t=*)\targuments+=(\"${s#=}\") ;;\n"
	"\t\t*)\toptions+=\" ${s%%=*}\" ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\t((COMP_CWORD > 1)) || arguments=(command)\n"
	/* Words are also split at ':' and '=' */
	"\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\t[[ $word == [:=] || ${COMP_WORDS[i - 1]} == [:=] ]] && continue\n"
	"\t\tif [[ $kind ]]; then\n"
	"\t\t\tkind=\n"
	"\t\telif [[ $word == -* ]]; then\n"
	"\t\t\tfor s in \"${specs[@]}\"; do\n"
	"\t\t\t\t[[ $s == \"$word=\"* ]] && kind=${s#*=}\n"
	"\t\t\tdone\n"
	"\t\telse\n"
	"\t\t\targuments=(\"${arguments[@]:1}\")\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tif [[ ${COMP_WORDS[COMP_CWORD - 1]} == : || $cur == : ]]; then\n"
	"\t\tkind=file\n"
	"\t\tcur=${cur#:}\n"
	"\telif [[ ! $kind && $cur == -* ]]; then\n"
	"\t\tkind=$options\n"
	"\tfi\n"
	"\tcase ${kind:=${arguments[0]}} in\n"
	"\tnone|'') return ;;\n"
	"\tfile)\tcompopt -o filenames 2>/dev/null\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	"\t\treturn ;;\n"
	"\tmachine) kind=$(\"$1\" list 2>/dev/null |\n"
	"\t\t\tsed -n '2,$s/ .*//p') ;;\n"
	"\turi)\tkind='tcp: tls: unix:'\n"
	"\t\tcompopt -o nospace 2>/dev/null ;;\n"
	"\tcommand) kind=$commands ;;\n"
	"\tesac\n"
	"\tmapfile -t COMPREPLY < <(compgen -W \"$kind\" -- \"$cur\")\n"
	"}\n"
	"complete -F _ferry ferry\n";

static const char zsh_start[] =
	"#compdef ferry\n"
	"# zsh completion of ferry, made by `ferry completion zsh`\n"
	"_ferry_file() { _files }\n"
	"_ferry_none() { _message value }\n"
	"_ferry_uri() { compadd -S '' -- tcp: tls: unix: }\n"
	"_ferry_machine() {\n"
	"\tcompadd -- ${(f)\"$(ferry list 2>/dev/null | sed -n '2,$s/ .*//p')\"}\n"
	"}\n"
	"_ferry_command() {\n"
	"\tlocal -a commands=(\n";
static const char zsh_middle[] =
	"\t)\n"
	"\t_describe command commands\n"
	"}\n"
	"_ferry() {\n"
	"\tif ((CURRENT == 2)); then\n"
	"\t\t_ferry_command\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tshift words\n"
	"\t((CURRENT--))\n"
	"\tcase $words[1] in\n";
static const char zsh_end[] =
	"\tesac\n"
	"}\n"
	"if [[ $funcstack[1] == _ferry ]]; then\n"
	"\t_ferry \"$@\"\n"
	"else\n"
	"\tcompdef _ferry ferry\n"
	"fi\n";

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

static void print_rows(FILE *out, const char *start, const char *end,
		       void (*spec)(FILE *out, const struct option_def *d))
{
	for (unsigned i = 0; i < CMDS; i++) {
		fprintf(out, "\t%s)%s", command_table[i].name, start);
		for (const struct option_def *d = option_table;
		     d->name || d->arg; d++)
			if (d->cmds >> i & 1)
				spec(out, d);
		fputs(end, out);
	}
}

static void print_commands(FILE *out)
{
	for (unsigned i = 0; i < CMDS; i++)
		fprintf(out, "%s%s", i ? " " : "", command_table[i].name);
}

void usage_completion(FILE *out, const char *shell)
{
	if (!strcmp(shell, "bash")) {
		fputs(bash_start, out);
		print_commands(out);
		fputs("'\n\tcase ${COMP_WORDS[1]} in\n", out);
		print_rows(out, "\n\t\tspecs=(", ") ;;\n", bash_spec);
		fputs(bash_end, out);
		return;
	}
	fputs(zsh_start, out);
	for (unsigned i = 0; i < CMDS; i++) {
		fprintf(out, "\t\t'%s:", command_table[i].name);
		print_help(out, command_table[i].summary);
		fputs("'\n", out);
	}
	fputs(zsh_middle, out);
	print_rows(out, "\n\t\t_arguments", " ;;\n", zsh_spec);
	fputs(zsh_end, out);
}
