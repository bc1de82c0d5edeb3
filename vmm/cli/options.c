// SPDX-License-Identifier: MIT
/*
 * options.c - The command line
 *
 * getopt_long(3) finds the options; each is checked and stored as its row of
 * the table says, and so are the arguments that remain.
 */

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "options.h"
#include "vmm/base/runtime.h"
#include "vmm/base/units.h"
#include "vmm/base/uri.h"

#define BIT(cmd) (1u << (cmd))
#define BITS_64 0x1p64L

/* getopt_long(3) returns the index of a row plus this, above any character */
#define OPTION_ID 256

#define NUMBER_TEXT 24		/* bytes of number_text() */

static bool is_a_size(const struct option_def *d)
{
	return d->type == VALUE_MIB || d->type == VALUE_BYTES;
}

/* The number with the largest unit that divides it, if it is a size */
static const char *number_text(char to[NUMBER_TEXT],
			       const struct option_def *d, uint64_t n)
{
	const char *unit = "\0KMGT";

	for (; is_a_size(d) && n && n % KIB == 0 && unit[1]; n /= KIB)
		unit++;
	snprintf(to, NUMBER_TEXT, "%llu%.1s", (unsigned long long)n, unit);
	return to;
}

/* Return: power of two of "M", "MB", "MiB" and so on; -1 for another text */
static int unit_shift(const char *unit)
{
	static const char letters[] = "kmgt";
	const char *letter = strchr(letters, tolower((unsigned char)*unit));

	if (!*unit || !letter ||
	    (unit[1] && strcasecmp(unit + 1, "b") &&
	     strcasecmp(unit + 1, "ib")))
		return -1;
	return 10 * (int)(letter - letters + 1);
}

static int not_a_number(const struct option_def *d, const char *text,
			struct error *err)
{
	const char *what = d->type == VALUE_COUNT ? "a number" :
		d->type == VALUE_ADDRESS ? "an address; write for example "
			"0x1234000, or a decimal number" :
		"a size; write for example 512M, 1.5G or 2GiB";

	return error_set(err, EINVAL, "'%.64s' is not %s", text, what);
}

/*
 * A decimal number; an address or bytes also hexadecimal after 0x; a size with
 * a unit, and with a fraction of it: parts of a byte are dropped. 64 bits of a
 * long double hold each fraction that matters exactly.
 */
static int parse_number(const struct option_def *d, const char *text,
			uint64_t *n, struct error *err)
{
	const bool is_size = is_a_size(d);
	size_t prefix = (d->type == VALUE_BYTES || d->type == VALUE_ADDRESS) &&
			!strncasecmp(text, "0x", 2) ? 2 : 0;
	const char *digits = prefix ? "0123456789abcdefABCDEF" : "0123456789";
	size_t len = strspn(text + prefix, digits), part = 0;
	const char *unit = text + prefix + len;
	int shift = d->type == VALUE_MIB ? 20 : 0;
	long double value;

	if (is_size && !prefix && *unit == '.')
		part = strspn(unit + 1, digits);
	unit += part ? part + 1 : 0;
	if (*unit)
		shift = is_size && !prefix ? unit_shift(unit) : -1;
	if (!len || shift < 0)
		return not_a_number(d, text, err);
	value = strtold(text, NULL) * (1ull << shift);
	*n = value < BITS_64 ? (uint64_t)value : UINT64_MAX;
	return part && !shift && *n != value ? not_a_number(d, text, err) : 0;
}

static int check_number(const struct option_def *d, const char *text,
			uint64_t n, struct error *err)
{
	char min[NUMBER_TEXT], max[NUMBER_TEXT];

	if (n > d->max && d->type == VALUE_ADDRESS)
		return error_set(err, ERANGE, "no guest has memory at %.64s: "
				 "addresses have fewer than 64 bits", text);
	if (n < d->min || n > d->max)
		return error_set(err, ERANGE, "%.64s is not between %s and %s",
				 text,
				 number_text(min, d, d->min),
				 number_text(max, d, d->max));
	if (d->step && n % d->step)
		return error_set(err, EINVAL, "%.64s is not a whole number of "
				 "MiB", text);
	return 0;
}

static int check_word(const struct option_def *d, const char *text,
		      struct error *err)
{
	size_t len, same;

	for (const char *w = d->words; *w; w += len + strspn(w + len, ", ")) {
		len = strcspn(w, ", ");
		same = strcspn(w, ":, ");
		if (!strncmp(w, "or ", 3) || strncmp(w, text, same))
			continue;
		if (same == len ? !text[len] : text[same] == ':' &&
					       text[same + 1])
			return 0;
	}
	return error_set(err, EINVAL, "'%.64s' is unknown; use %s", text,
			 d->words);
}

static int check_uri(const struct option_def *d, const char *text,
		     struct error *err)
{
	struct uri uri;
	int rc = uri_parse(text, &uri, err);

	if (!rc && d->type == VALUE_PEER && uri.kind != URI_UNIX && !*uri.host)
		return error_set(err, EINVAL, "'%.200s' names no destination "
				 "host", text);
	return rc;
}

static int check_text(const struct option_def *d, const char *text,
		      struct error *err)
{
	switch (d->type) {
	case VALUE_NAME:
		return runtime_check_name(text, err);
	case VALUE_WORD:
	case VALUE_YES:
		return check_word(d, text, err);
	case VALUE_URI:
	case VALUE_PEER:
		return check_uri(d, text, err);
	case VALUE_PATH:
	case VALUE_PATHS:
		return *text ? 0 : error_set(err, EINVAL, "the path is empty");
	default:
		return 0;
	}
}

/* Return: CMDS if there is no such subcommand */
static enum subcommand find_command(const char *word)
{
	unsigned i = 0;

	if (!strcmp(word, "--help") || !strcmp(word, "-h"))
		return CMD_HELP;
	if (!strcmp(word, "--version") || !strcmp(word, "-V"))
		return CMD_VERSION;
	while (i < CMDS && strcmp(word, command_table[i].name))
		i++;
	return i;
}

static int parse_command(const char *word, enum subcommand *cmd,
			 struct error *err)
{
	*cmd = find_command(word);
	if (*cmd < CMDS)
		return 0;
	return error_set(err, EINVAL, "unknown command '%.64s'; `ferry help` "
			 "lists the commands", word);
}

/* One more value of an option that may be repeated */
static int store_path(struct option_paths *paths, const char *text,
		      struct error *err)
{
	if (paths->n == OPTION_PATHS)
		return error_set(err, EINVAL, "given more than %d times",
				 OPTION_PATHS);
	paths->at[paths->n++] = text;
	return 0;
}

/* Check the value of a row, and store it in its field */
static int store_value(struct options *o, const struct option_def *d,
		       const char *text, struct error *err)
{
	void *field = (char *)o + d->field;
	uint64_t n = 0;
	int rc = 0;

	if (options_given(o, d) && d->type != VALUE_PATHS)
		return error_set(err, EINVAL, "--%s is given twice", d->name);
	o->given |= 1ull << (d - option_table);
	if (d->type == VALUE_FLAG || d->type == VALUE_CHOICE) {
		*(bool *)field = true;
	} else if (d->type == VALUE_COMMAND) {
		rc = parse_command(text, field, err);
	} else if (d->type == VALUE_PATHS) {
		rc = check_text(d, text, err) ?: store_path(field, text, err);
	} else if (d->max) {
		rc = parse_number(d, text, &n, err) ?:
		     check_number(d, text, n, err);
		*(uint64_t *)field = n;
	} else {
		rc = check_text(d, text, err);
		*(const char **)field = text;
	}
	if (rc && d->name)
		error_prefix(err, "--%s", d->name);
	return rc;
}

/* Explain what getopt_long(3) rejected: @code is what it returned */
static int bad_option(const struct options *o, int code, const char *typed,
		      struct error *err)
{
	const char *cmd = command_table[o->cmd].name;
	const struct option_def *d;

	if (optopt && optopt < OPTION_ID)
		return error_set(err, EINVAL, "unknown option '-%c'; see "
				 "`ferry %s --help`", optopt, cmd);
	if (!optopt)
		return error_set(err, EINVAL, "unknown or ambiguous option "
				 "'%.64s'; see `ferry %s --help`", typed, cmd);
	d = &option_table[optopt - OPTION_ID];
	if (code == ':')
		return error_set(err, EINVAL, "--%s needs a value: %s", d->name,
				 d->arg);
	return error_set(err, EINVAL, "--%s takes no value", d->name);
}

/* Reorders @argv, so that the arguments that are not options start at optind */
static int parse_options(struct options *o, int argc, char **argv,
			 struct error *err)
{
	struct option list[64] = { 0 }, *l = list;
	const struct option_def *d;
	int c, rc = 0;

	for (d = NULL; (d = option_next(o->cmd, d));)
		if (d->name)
			*l++ = (struct option){
				.name = d->name, .has_arg = d->arg != NULL,
				.val = OPTION_ID + (int)(d - option_table),
			};

	optind = 0;		/* glibc: start a new command line */
	while (!rc && (c = getopt_long(argc, argv, ":h", list, NULL)) != -1) {
		if (c != 'h' && c < OPTION_ID)
			return bad_option(o, c, argv[optind - 1], err);
		d = c == 'h' ? NULL : &option_table[c - OPTION_ID];
		if (!d || d->type == VALUE_HELP) {
			o->topic = o->cmd;
			o->cmd = CMD_HELP;
			break;
		}
		rc = store_value(o, d, optarg, err);
	}
	return rc;
}

/* Does this subcommand, or an option that was given, need this row? */
static bool is_needed(const struct options *o, const struct option_def *d)
{
	if (d->type == VALUE_NAME && !d->name)
		return !o->control;
	if (d->required & BIT(o->cmd))
		return true;
	for (const struct option_def *e = NULL; (e = option_next(o->cmd, e));)
		if (options_given(o, e) && e->needs && d->name &&
		    !strcmp(e->needs, d->name))
			return true;
	return false;
}

/* @n: number of @words, the arguments that are not options */
static int parse_arguments(struct options *o, int n, char **words,
			   struct error *err)
{
	const struct command_def *c = &command_table[o->cmd];
	const struct option_def *d;
	int rc = 0, i = 0, count = 0;

	for (d = NULL; (d = option_next(o->cmd, d));)
		count += !d->name;
	for (d = NULL; !rc && (d = option_next(o->cmd, d));) {
		if (options_given(o, d))
			continue;
		if (!d->name && i < n && (n >= count || is_needed(o, d)))
			rc = store_value(o, d, words[i++], err);
		else if (is_needed(o, d))
			rc = error_set(err, EINVAL, "%s%s %s is missing; usage: "
				       "ferry %s %s", d->name ? "--" : "",
				       d->name ? d->name : "the", d->arg,
				       c->name, c->synopsis);
	}
	if (rc || i == n)
		return rc;
	return error_set(err, EINVAL, "'%.64s' is one argument too many; usage: "
			 "ferry %s %s", words[i], c->name, c->synopsis);
}

/* Options that exclude each other, and no default */
static int check_choice(const struct options *o, struct error *err)
{
	const struct command_def *c = &command_table[o->cmd];
	unsigned choices = 0, given = 0;

	for (const struct option_def *d = NULL; (d = option_next(o->cmd, d));)
		if (d->type == VALUE_CHOICE) {
			choices++;
			given += options_given(o, d);
		}
	if (!choices || given == 1)
		return 0;
	return error_set(err, EINVAL, "exactly one must be chosen; usage: "
			 "ferry %s %s", c->name, c->synopsis);
}

const struct option_def *option_next(enum subcommand cmd,
				     const struct option_def *d)
{
	d = d ? d + 1 : option_table;
	while (d->cmds && !(d->cmds & BIT(cmd)))
		d++;
	return d->cmds ? d : NULL;
}

bool options_given(const struct options *o, const struct option_def *d)
{
	return o->given >> (d - option_table) & 1;
}

int options_parse(struct options *o, int argc, char **argv, struct error *err)
{
	enum subcommand cmd;
	int rc;

	*o = (struct options){
		.cmd = CMD_HELP, .topic = CMDS, .append = "",
		.serial = "stdio", .memory = 128 * MIB, .cpus = 1,
		.listen = "127.0.0.1:8080",
		.method = "simulate", .cpu = "host", .cpu_vendor = "host",
	};
	if (argc < 2)
		return error_set(err, EINVAL, "no command is given; `ferry "
				 "help` lists the commands");

	rc = parse_command(argv[1], &o->cmd, err);
	if (rc)
		return rc;
	o->ram = o->cmd == CMD_RUN ? "anon" : NULL;
	o->count = o->cmd == CMD_POISON;

	cmd = o->cmd;
	rc = parse_options(o, argc - 1, argv + 1, err);
	if (rc || o->cmd != cmd)	/* --help */
		return rc;
	rc = parse_arguments(o, argc - 1 - optind, argv + 1 + optind, err);
	return rc ? rc : check_choice(o, err);
}
