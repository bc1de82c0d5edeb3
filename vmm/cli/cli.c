// SPDX-License-Identifier: MIT
/* cli.c - The subcommands that talk to a machine: table, and the short ones */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli_common.h"
#include "vmm/base/log.h"
#include "vmm/base/version.h"

/* Time that a machine may take to end after it answered quit, in ms */
#define QUIT_TIMEOUT_MS 10000

static bool is_end(json_t *event)
{
	return !strcmp(cli_text(event, "event", ""), "SHUTDOWN");
}

/*
 * A machine removes its socket before it closes the connection. @accepted: it
 * answered the command; else only the event SHUTDOWN shows that it ended.
 */
static int wait_for_end(const struct options *o, struct qmp_client *q,
			bool accepted)
{
	struct error err = { 0 };
	json_t *event;
	int rc;

	do {
		rc = qmp_next_event(q, QUIT_TIMEOUT_MS, &event, &err);
		accepted = accepted || is_end(event);
		json_decref(event);
	} while (!rc);

	if (rc == -ECONNRESET)
		return accepted ? CLI_OK : cli_fail(&err);
	log_line("'%s' accepted the command quit, but is still running after "
		 "%d s", cli_label(o), QUIT_TIMEOUT_MS / 1000);
	return CLI_FAILED;
}

static int cli_quit(const struct options *o)
{
	struct error err = { 0 };
	struct qmp_client *q = cli_open(o, &err);
	int rc;

	if (!q)
		return cli_fail(&err);
	/* The machine may end before its answer is sent */
	rc = qmp_execute(q, "quit",
			 o->force ? json_pack("{s:b}", "ferry-force", 1) : NULL,
			 NULL, &err);
	if (rc && rc != -ECONNRESET)
		rc = cli_fail(&err);
	else
		rc = wait_for_end(o, q, !rc);
	qmp_close(q);
	return rc;
}

static void print_poisoned(const struct options *o, json_t *ret)
{
	json_int_t n = cli_number(ret, "poisoned");
	json_t *at = cli_get(ret, "address");
	uint64_t address = at ? (uint64_t)json_integer_value(at) : o->address;

	printf("poisoned %" JSON_INTEGER_FORMAT " page%s at 0x%" PRIx64
	       " (%s)\n", n, n == 1 ? "" : "s", address,
	       cli_text(ret, "method", o->method));
}

static int cli_poison(const struct options *o)
{
	json_t *ret;
	int rc;

	if (o->address > INT64_MAX) {
		log_line("--address: no guest has memory at 0x%" PRIx64,
			 o->address);
		return CLI_FAILED;
	}
	rc = cli_call(o, QMP_TIMEOUT_MS, "ferry-poison",
		      json_pack("{s:I, s:I, s:s}",
				"address", (json_int_t)o->address,
				"count", (json_int_t)o->count,
				"method", o->method), &ret);
	if (!rc && o->json)
		cli_print_json(ret);
	else if (!rc)
		print_poisoned(o, ret);
	json_decref(ret);
	return rc;
}

/*
 * Return: 0 after o->count events; -ECONNRESET (the connection ended; *ended:
 * the machine reported its end before), -EINTR (Ctrl-C), -EIO (standard output
 * can't be written; cli_run() reports it), -EPROTO
 */
static int print_events(const struct options *o, struct qmp_client *q,
			bool *ended, struct error *err)
{
	json_t *event;
	uint64_t n = 0;
	int rc;

	while (!o->count || n++ < o->count) {
		rc = qmp_next_event(q, -1, &event, err);
		if (rc)
			return rc;
		cli_print_json(event);
		*ended = is_end(event);
		json_decref(event);
		if (cli_flush())
			return -EIO;
	}
	return 0;
}

static int cli_events(const struct options *o)
{
	struct error err = { 0 };
	struct qmp_client *q = cli_open(o, &err);
	bool ended = false;
	int rc, fd;

	if (!q)
		return cli_fail(&err);

	fd = cli_signals();
	qmp_watch(q, fd);
	rc = print_events(o, q, &ended, &err);
	qmp_close(q);
	if (fd >= 0)
		close(fd);

	/* Without --count, the end of the machine is the end of its events. A
	 * connection that ends without SHUTDOWN is lost: events may be missing
	 */
	if (!rc || rc == -EINTR || (rc == -ECONNRESET && ended && !o->count))
		return CLI_OK;
	return rc == -EIO ? CLI_FAILED : cli_fail(&err);
}

static int cli_help(const struct options *o)
{
	options_usage(stdout, o->topic);
	return CLI_OK;
}

static int cli_version(const struct options *o)
{
	(void)o;
	puts("ferry " FERRY_VERSION);
	return CLI_OK;
}

/* A subcommand is a function, or a QMP command without arguments or result */
static const struct {
	int (*fn)(const struct options *o);
	const char *qmp;
} table[CMDS] = {
	[CMD_MIGRATE] = { .fn = cli_migrate },
	[CMD_POISON] = { .fn = cli_poison },
	[CMD_DUMP] = { .fn = cli_dump },
	[CMD_STATUS] = { .fn = cli_status },
	[CMD_LIST] = { .fn = cli_list },
	[CMD_STOP] = { .qmp = "stop" },
	[CMD_CONT] = { .qmp = "cont" },
	[CMD_RESET] = { .qmp = "system_reset" },
	[CMD_POWERDOWN] = { .qmp = "system_powerdown" },
	[CMD_QUIT] = { .fn = cli_quit },
	[CMD_EVENTS] = { .fn = cli_events },
	[CMD_CONSOLE] = { .fn = cli_console },
	[CMD_HELP] = { .fn = cli_help },
	[CMD_VERSION] = { .fn = cli_version },
};

int cli_run(const struct options *o)
{
	json_t *ret = NULL;
	int rc = CLI_USAGE;

	if (table[o->cmd].fn)
		rc = table[o->cmd].fn(o);
	else if (table[o->cmd].qmp)
		rc = cli_call(o, QMP_TIMEOUT_MS, table[o->cmd].qmp, NULL, &ret);
	json_decref(ret);

	return cli_flush() ? CLI_FAILED : rc;
}
