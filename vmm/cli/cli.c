// SPDX-License-Identifier: MIT
/* cli.c - The subcommands that talk to a machine: the short ones */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cli_common.h"
#include "vmm/base/log.h"
#include "vmm/base/version.h"

/* How long a machine may take to end after it said that it will, in ms */
#define QUIT_TIMEOUT_MS 10000

/**
 * run_plain() - Run a command without arguments, and say nothing
 * @o:		the options
 * @command:	QMP command
 *
 * Return: exit status
 */
static int run_plain(const struct options *o, const char *command)
{
	struct error err = { 0 };
	struct qmp_client *q = cli_open(o, &err);
	int rc = CLI_OK;

	if (!q || qmp_execute(q, command, NULL, NULL, &err))
		rc = cli_fail(&err);
	qmp_close(q);
	return rc;
}

/**
 * wait_end() - Wait until a machine is gone
 * @o:		the options
 * @q:		connection to it
 *
 * A machine removes its socket before it ends the connection.
 *
 * Return: exit status
 */
static int wait_end(const struct options *o, struct qmp_client *q)
{
	json_t *event;
	int rc;

	do {
		rc = qmp_next_event(q, QUIT_TIMEOUT_MS, &event, NULL);
		json_decref(event);
	} while (!rc);

	if (rc == -ECONNRESET)
		return CLI_OK;
	log_line("'%s' was told to quit, but is still there after %d s",
		 cli_label(o), QUIT_TIMEOUT_MS / 1000);
	return CLI_FAILED;
}

/**
 * cli_quit() - End a machine, and wait for its end
 * @o:		the options
 *
 * Return: exit status
 */
static int cli_quit(const struct options *o)
{
	struct error err = { 0 };
	struct qmp_client *q = cli_open(o, &err);
	int rc;

	if (!q)
		return cli_fail(&err);

	/* It may be gone before its answer is out */
	rc = qmp_execute(q, "quit", NULL, NULL, &err);
	if (rc && rc != -ECONNRESET)
		rc = cli_fail(&err);
	else
		rc = wait_end(o, q);
	qmp_close(q);
	return rc;
}

/**
 * print_poisoned() - Say what was poisoned
 * @o:		the options
 * @ret:	what ferry-poison returned
 */
static void print_poisoned(const struct options *o, json_t *ret)
{
	json_int_t n = cli_number(ret, "poisoned");
	json_t *at = cli_get(ret, "address");
	uint64_t address = at ? (uint64_t)json_integer_value(at) : o->address;

	printf("poisoned %" JSON_INTEGER_FORMAT " page%s at 0x%" PRIx64
	       " (%s)\n", n, n == 1 ? "" : "s", address,
	       cli_text(ret, "method", o->method));
}

/**
 * cli_poison() - Make pages of a guest unreadable
 * @o:		the options
 *
 * Return: exit status
 */
static int cli_poison(const struct options *o)
{
	struct error err = { 0 };
	struct qmp_client *q;
	json_t *ret = NULL;
	int rc = CLI_OK;

	if (o->address > INT64_MAX) {
		log_line("--address: no guest has memory at 0x%" PRIx64,
			 o->address);
		return CLI_FAILED;
	}
	q = cli_open(o, &err);
	if (!q || qmp_execute(q, "ferry-poison", json_pack("{s:I, s:I, s:s}",
			      "address", (json_int_t)o->address,
			      "count", (json_int_t)o->count,
			      "method", o->method), &ret, &err))
		rc = cli_fail(&err);
	else if (o->json)
		cli_print_json(ret);
	else
		print_poisoned(o, ret);

	json_decref(ret);
	qmp_close(q);
	return rc;
}

/**
 * follow_events() - Print events until there are no more
 * @o:		the options
 * @q:		connection to the machine
 * @err:	why it ended before it should
 *
 * Return: 0 after as many as were asked for; or -ECONNRESET (the machine
 *	   ended), -EINTR (Ctrl-C), -EPIPE (nobody reads), -EPROTO
 */
static int follow_events(const struct options *o, struct qmp_client *q,
			 struct error *err)
{
	json_t *event;
	uint64_t n = 0;
	int rc;

	while (!o->count || n++ < o->count) {
		rc = qmp_next_event(q, -1, &event, err);
		if (rc)
			return rc;
		cli_print_json(event);
		json_decref(event);
		if (fflush(stdout))
			return error_set(err, EPIPE, "cannot write the events: "
					 "%m");
	}
	return 0;
}

/**
 * cli_events() - Print what happens to a machine
 * @o:		the options
 *
 * Return: exit status; that the machine ended is no failure
 */
static int cli_events(const struct options *o)
{
	struct error err = { 0 };
	struct qmp_client *q = cli_open(o, &err);
	int rc, fd;

	if (!q)
		return cli_fail(&err);

	fd = cli_signals();
	qmp_watch(q, fd);
	rc = follow_events(o, q, &err);
	qmp_close(q);
	if (fd >= 0)
		close(fd);

	if (!rc || rc == -EINTR)
		return CLI_OK;
	if (rc == -ECONNRESET && !o->count)
		return CLI_OK;
	return cli_fail(&err);
}

/**
 * run_command() - Run any subcommand but run and receive
 * @o:		the options
 *
 * Return: exit status
 */
static int run_command(const struct options *o)
{
	switch (o->cmd) {
	case CMD_MIGRATE:
		return cli_migrate(o);
	case CMD_POISON:
		return cli_poison(o);
	case CMD_DUMP:
		return cli_dump(o);
	case CMD_STATUS:
		return cli_status(o);
	case CMD_CONSOLE:
		return cli_console(o);
	case CMD_LIST:
		return cli_list(o);
	case CMD_STOP:
		return run_plain(o, "stop");
	case CMD_CONT:
		return run_plain(o, "cont");
	case CMD_RESET:
		return run_plain(o, "system_reset");
	case CMD_QUIT:
		return cli_quit(o);
	case CMD_EVENTS:
		return cli_events(o);
	case CMD_HELP:
		options_usage(stdout, o->topic);
		return CLI_OK;
	case CMD_VERSION:
		puts("ferry " FERRY_VERSION);
		return CLI_OK;
	default:
		log_line("'%s' is no command for a client",
			 options_word(o->cmd));
		return CLI_USAGE;
	}
}

int cli_run(const struct options *o)
{
	return cli_finish(run_command(o));
}
