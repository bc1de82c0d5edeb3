// SPDX-License-Identifier: MIT
/*
 * options.c - The command line
 *
 * In three steps, each of which may say what is wrong: getopt_long(3) takes
 * the options that the subcommand has in the table, and each is understood
 * and stored as it comes; then the arguments that are left are given their
 * meaning; then what is required is looked for.
 */

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "options.h"
#include "options_set.h"
#include "options_table.h"
#include "options_value.h"
#include "vmm/base/uri.h"

/**
 * find_command() - Look a subcommand up
 * @word:	what the user typed
 *
 * Return: the subcommand, or CMDS if there is none of that name
 */
static enum subcommand find_command(const char *word)
{
	unsigned i;

	if (!strcmp(word, "--help") || !strcmp(word, "-h"))
		return CMD_HELP;
	if (!strcmp(word, "--version") || !strcmp(word, "-V"))
		return CMD_VERSION;
	for (i = 0; i < CMDS; i++)
		if (!strcmp(word, command_defs[i].name))
			return i;
	return CMDS;
}

/**
 * find_option() - The table's row of an option
 * @id:		what getopt_long(3) returned
 *
 * Return: the row, or NULL
 */
static const struct option_def *find_option(int id)
{
	const struct option_def *d;

	for (d = option_defs; d->name; d++)
		if ((int)d->id == id)
			return d;
	return NULL;
}

/**
 * long_options() - The options of a subcommand, as getopt_long(3) wants them
 * @cmd:	the subcommand
 * @list:	filled in, up to a zeroed end
 */
static void long_options(enum subcommand cmd,
			 struct option list[OPT_END - OPT_FIRST + 1])
{
	const struct option_def *d;

	for (d = option_defs; d->name; d++) {
		if (!(d->cmds & 1u << cmd))
			continue;
		*list++ = (struct option){
			.name = d->name,
			.has_arg = d->arg ? required_argument : no_argument,
			.val = d->id,
		};
	}
	*list = (struct option){ 0 };
}

/**
 * bad_option() - Say what getopt_long(3) did not like
 * @o:		the options
 * @code:	what it returned: '?' or ':'
 * @typed:	the word it stopped at
 * @err:	set
 *
 * Return: -EINVAL
 */
static int bad_option(const struct options *o, int code, const char *typed,
		      struct error *err)
{
	const struct option_def *def = find_option(optopt);
	const char *cmd = options_word(o->cmd);

	if (code == ':' && def)
		return error_set(err, EINVAL, "--%s needs a value: %s",
				 def->name, def->arg);
	if (def)
		return error_set(err, EINVAL, "--%s takes no value",
				 def->name);
	if (optopt)
		return error_set(err, EINVAL, "unknown option '-%c'; see "
				 "`ferry %s --help`", optopt, cmd);
	return error_set(err, EINVAL, "unknown or ambiguous option '%.64s'; "
			 "see `ferry %s --help`", typed, cmd);
}

/**
 * parse_options() - Take the options off the command line
 * @o:		the options
 * @argc:	from the subcommand on
 * @argv:	likewise; reordered, so that the rest starts at optind
 * @seen:	bit (id - OPT_FIRST) set for each option that was there
 * @err:	what is wrong
 *
 * Return: 0, -EINVAL, -ERANGE, -EOPNOTSUPP
 */
static int parse_options(struct options *o, int argc, char **argv,
			 unsigned *seen, struct error *err)
{
	struct option list[OPT_END - OPT_FIRST + 1];
	const struct option_def *def;
	int c, rc;

	long_options(o->cmd, list);
	optind = 0;		/* glibc: forget what was parsed before */
	while ((c = getopt_long(argc, argv, ":h", list, NULL)) != -1) {
		def = find_option(c == 'h' ? OPT_HELP : c);
		if (!def)
			return bad_option(o, c, argv[optind - 1], err);
		if (*seen & 1u << (def->id - OPT_FIRST))
			return error_set(err, EINVAL, "--%s is given twice",
					 def->name);
		*seen |= 1u << (def->id - OPT_FIRST);
		if (def->id == OPT_HELP)
			return 0;
		rc = options_set(o, def, optarg, err);
		if (rc)
			return rc;
	}
	return 0;
}

/**
 * parse_words() - Give the arguments that are no options their meaning
 * @o:		the options
 * @n:		how many
 * @words:	the arguments
 * @err:	what is wrong
 *
 * Return: 0, -EINVAL
 */
static int parse_words(struct options *o, int n, char **words,
		       struct error *err)
{
	const struct command_def *def = &command_defs[o->cmd];
	struct uri uri;
	bool last = def->uri || o->cmd == CMD_DUMP;
	int i = 0, rc;

	/* With --control the name may be left out: then the last comes first */
	if (def->machine && n > (o->control && last ? 1 : 0)) {
		rc = options_set_name(o, words[i++], err);
		if (rc)
			return rc;
	}
	if (def->uri && i < n) {
		o->uri = words[i++];
		rc = uri_parse(o->uri, &uri, err);
		if (rc)
			return rc;
		if (o->cmd == CMD_MIGRATE && uri.kind == URI_TCP &&
		    !uri.host[0])
			return error_set(err, EINVAL, "'%.200s' names no "
					 "host to go to", o->uri);
	}
	if (o->cmd == CMD_DUMP && i < n)
		o->file = words[i++];
	if (i < n)
		return error_set(err, EINVAL, "'%.64s' is one argument too "
				 "many; usage: ferry %s %s", words[i],
				 def->name, def->synopsis);
	return 0;
}

/**
 * check_required() - Look for what is missing
 * @o:		the options
 * @seen:	from parse_options()
 * @err:	what is missing
 *
 * Return: 0, -EINVAL
 */
static int check_required(const struct options *o, unsigned seen,
			  struct error *err)
{
	const struct command_def *def = &command_defs[o->cmd];
	bool machine = o->cmd == CMD_RUN || o->cmd == CMD_RECEIVE;
	const char *what = NULL;

	if (machine && !o->name)
		what = "--name NAME";
	else if (o->cmd == CMD_RUN && !o->kernel)
		what = "--kernel FILE";
	else if (def->machine && !o->name && !o->control)
		what = "the machine's NAME";
	else if (def->uri && !o->uri)
		what = "the URI";
	else if (o->cmd == CMD_DUMP && !o->file)
		what = "the FILE";
	else if ((o->cmd == CMD_POISON || o->raw || o->size) &&
		 !(seen & 1u << (OPT_ADDRESS - OPT_FIRST)))
		what = "--address GPA";
	else if (o->cmd == CMD_DUMP && !o->size &&
		 seen & 1u << (OPT_ADDRESS - OPT_FIRST))
		what = "--size SIZE";

	if (!what)
		return 0;
	return error_set(err, EINVAL, "%s is missing; usage: ferry %s %s",
			 what, def->name, def->synopsis);
}

/**
 * parse_help() - Understand "ferry help COMMAND"
 * @o:		the options
 * @n:		how many words there are after it
 * @words:	the words
 * @err:	what is wrong
 *
 * Return: 0, -EINVAL
 */
static int parse_help(struct options *o, int n, char **words,
		      struct error *err)
{
	o->topic = n ? find_command(words[0]) : CMD_HELP;
	if (o->topic == CMDS)
		return error_set(err, EINVAL, "there is no command '%.64s'; "
				 "`ferry help` lists them", words[0]);
	return 0;
}

int options_parse(struct options *o, int argc, char **argv, struct error *err)
{
	unsigned seen = 0;
	int rc;

	*o = (struct options){
		.cmd = CMD_HELP,
		.topic = CMD_HELP,
		.append = "",
		.memory = 128 * MIB,
		.cpus = 1,
		.ram = RAM_ANON,
		.method = "auto",
		.cpu = "host",
		.cpu_vendor = "host",
	};
	if (argc < 2)
		return error_set(err, EINVAL, "no command; `ferry help` lists "
				 "them");

	o->cmd = find_command(argv[1]);
	if (o->cmd == CMDS)
		return error_set(err, EINVAL, "there is no command '%.64s'; "
				 "`ferry help` lists them", argv[1]);
	if (o->cmd == CMD_HELP)
		return parse_help(o, argc - 2, argv + 2, err);

	rc = parse_options(o, argc - 1, argv + 1, &seen, err);
	if (rc)
		return rc;
	if (seen & 1u << (OPT_HELP - OPT_FIRST)) {
		o->topic = o->cmd;
		o->cmd = CMD_HELP;
		return 0;
	}
	if (o->cmd == CMD_POISON && !o->count)
		o->count = 1;
	rc = parse_words(o, argc - 1 - optind, argv + 1 + optind, err);
	return rc ? rc : check_required(o, seen, err);
}
