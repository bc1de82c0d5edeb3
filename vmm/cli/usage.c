// SPDX-License-Identifier: MIT
/* usage.c - Help texts and man pages made of the tables of options.h */

#include <ctype.h>
#include <string.h>

#include "usage.h"

#define PURPOSE "move a running KVM guest from one host to another"

static void print_option(FILE *out, const struct option_def *d)
{
	int n = fprintf(out, "  --%s%s%s", d->name, d->arg ? " " : "",
			d->arg ? d->arg : "");

	/* A long option has a line of its own */
	fprintf(out, "%s%*s", n < 22 ? "" : "\n", n < 22 ? 22 - n : 22, "");
	for (const char *c = d->help; *c; c++)
		fprintf(out, "%c%*s", *c, *c == '\n' ? 22 : 0, "");
	fputc('\n', out);
}

void usage_print(FILE *out, enum subcommand topic)
{
	const struct command_def *c = &command_table[topic];

	if (topic < CMDS) {
		fprintf(out, "usage: ferry %s%s%s\n\n  %s\n\n", c->name,
			*c->synopsis ? " " : "", c->synopsis, c->summary);
		for (const struct option_def *d = NULL;
		     (d = option_next(topic, d));)
			if (d->name)
				print_option(out, d);
		return;
	}
	fputs("usage: ferry COMMAND [ARGUMENTS]\n\nferry: " PURPOSE "\n\n",
	      out);
	for (c = command_table; c < command_table + CMDS; c++)
		fprintf(out, "  %-11s%s\n", c->name, c->summary);
	fputs("\nURI is tcp:HOST:PORT, tls:HOST:PORT or unix:PATH.\n"
	      "`ferry COMMAND --help` explains a command, `man ferry-COMMAND` "
	      "more of it.\n", out);
}

/* A line of mdoc(7): @macro, then an option or argument as macros */
static void man_option(FILE *out, const char *macro, const struct option_def *d)
{
	fprintf(out, "%s%s%s%s%s%s\n", macro, d->name ? "Fl -" : "",
		d->name ? d->name : "", d->name && d->arg ? " " : "",
		d->arg ? "Ar " : "", d->arg ? d->arg : "");
}

/* Without the dashes of an option becoming hyphens */
static void man_text(FILE *out, const char *text)
{
	for (const char *c = text; *c; c++)
		fprintf(out, *c == '-' && (c[1] == '-' ||
					   (c > text && c[-1] == '-')) ?
			"\\%c" : "%c", *c);
	fputc('\n', out);
}

static void man_command(FILE *out, enum subcommand cmd)
{
	const struct option_def *d;

	for (d = NULL; (d = option_next(cmd, d));)
		man_option(out, d->required >> cmd & 1 ? "." : ".Op ", d);
	fputs(".Sh OPTIONS\n.Bl -tag -width Ds\n", out);
	for (d = NULL; (d = option_next(cmd, d));)
		if (d->name) {
			man_option(out, ".It ", d);
			man_text(out, d->help);
		}
}

void usage_man(FILE *out, enum subcommand topic)
{
	const char *name = topic < CMDS ? command_table[topic].name : NULL;
	char title[32] = "";

	for (size_t i = 0; name && name[i] && i < sizeof(title) - 1; i++)
		title[i] = (char)toupper((unsigned char)name[i]);
	fprintf(out, ".Dd November 27, 2026\n.Dt FERRY%s%s 1\n.Os\n"
		".Sh NAME\n.Nm ferry%s%s\n.Nd %s\n.Sh SYNOPSIS\n.Nm ferry\n",
		name ? "-" : "", title, name ? "-" : "", name ? name : "",
		name ? command_table[topic].summary : PURPOSE);
	if (name) {
		fprintf(out, ".Cm %s\n", name);
		man_command(out, topic);
	} else {
		fputs(".Ar COMMAND\n.Op Ar ARGUMENTS\n"
		      ".Sh COMMANDS\n.Bl -tag -width Ds\n", out);
		for (unsigned i = 0; i < CMDS; i++)
			fprintf(out, ".It Xr ferry-%s 1\n%s\n",
				command_table[i].name,
				command_table[i].summary);
	}
	fputs(".El\n", out);
}
