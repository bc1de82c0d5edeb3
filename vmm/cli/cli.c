// SPDX-License-Identifier: MIT
/* cli.c - The subcommands that talk to a machine: table, and the short ones */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli_common.h"
#include "usage.h"
#include "vmm/base/log.h"
#include "vmm/base/runtime.h"
#include "vmm/base/version.h"

/* Time that a machine may take to end after it answered quit, in ms */
#define QUIT_TIMEOUT_MS 10000
/* For `poison` of many pages: the limit */
#define POISON_TIMEOUT_MS 3600000
/* For each machine of `ferry list`: one that hangs delays the others, in ms */
#define LIST_TIMEOUT_MS 2000

/* Templates: render.h */
static const char version_text[] = "ferry " FERRY_VERSION "\n";
static const char poison_text[] =
	"poisoned {poisoned} page{poisoned/s} at {address/x} ({method})\n";
static const char dump_text[] =
	"<lost:lost: {size} bytes at {address/x}\n>"
	"[{lost-bytes} bytes are lost (memory failure), and are not in the "
	"file\n]";
static const char list_header[] =
	"NAME                 STATUS                MIB VCPUS  POISONED  "
	"MIGRATION\n";
static const char list_text[] =
	"{name,-20} {status,-16} {memory,8/M} {cpus,5.0} {poisoned-bytes,9/P}  "
	"{migration.status}\n";
static const char no_answer_text[] = "{name,-20} {status,-16} {error}\n";

/*
 * A machine removes its socket before it closes the connection. @accepted: it
 * answered the command; else only the event SHUTDOWN shows that it ended.
 */
static int wait_for_end(const struct options *o, struct qmp_client *q,
			bool accepted, struct error *err)
{
	json_t *event;
	int rc;

	do {
		rc = qmp_next_event(q, QUIT_TIMEOUT_MS, &event, err);
		json_decref(event);
	} while (!rc);

	if (rc == -ESHUTDOWN || (rc == -ECONNRESET && accepted))
		error_clear(err);
	else
		error_set(err, ETIMEDOUT, "'%s' accepted the command quit, but "
			  "is still running after %d s", cli_label(o),
			  QUIT_TIMEOUT_MS / 1000);
	return err->code ? CLI_FAILED : CLI_OK;
}

static int cli_quit(const struct options *o, struct qmp_client *q,
		    struct error *err)
{
	/* The machine may end before its answer is sent */
	int rc = qmp_execute(q, "quit", cli_members(o, CLI_QMP, err), NULL,
			     err);

	if (rc && rc != -ECONNRESET && rc != -ESHUTDOWN)
		return CLI_FAILED;
	error_clear(err);
	return wait_for_end(o, q, !rc, err);
}

/* Run a command and print what it returned. Return: exit status */
static int execute(const struct options *o, struct qmp_client *q,
		   const char *command, json_t *args, const char *template,
		   struct error *err)
{
	json_t *ret;

	if (qmp_execute(q, command, args, &ret, err))
		return CLI_FAILED;
	if (o->json)
		cli_print_json(ret);
	else if (template)
		render(stdout, template, ret);
	json_decref(ret);
	return CLI_OK;
}

static int cli_dump(const struct options *o, struct qmp_client *q,
		    struct error *err)
{
	json_t *from = o->size ? json_integer((json_int_t)o->address) : NULL;
	json_t *size = o->size ? json_integer((json_int_t)o->size) : NULL;
	json_t *file = cli_path(o->raw ? "" : "file:", o->file, err);

	if (!file)
		return CLI_FAILED;
	/* Its duration depends on the size; the end of the machine ends it */
	qmp_timeout(q, -1);
	if (o->raw)
		return execute(o, q, "pmemsave", json_pack("{s:o, s:o, s:o}",
			       "filename", file, "val", from, "size", size),
			       NULL, err);
	return execute(o, q, "dump-guest-memory", json_pack(
		       "{s:o, s:b, s:o*, s:o*}", "protocol", file, "paging", 0,
		       "begin", from, "length", size), dump_text, err);
}

/*
 * Append the state of a machine, or the error. A socket whose machine was
 * killed is shown as not answering, and not removed: the next machine of that
 * name replaces it.
 */
static bool list_machine(void *list, const char *name)
{
	struct error err = { 0 };
	struct qmp_client *q = cli_open(name, NULL, LIST_TIMEOUT_MS, &err);
	json_t *st;

	if (!q || cli_query(q, &st, &err))
		st = json_pack("{s:s, s:s}", "status", "not-answering",
			       "error", err.text);
	/* The name of the socket, which commands need, not the machine's own */
	json_object_set_new(st, "name", json_string(name));
	json_array_append_new(list, st);
	qmp_close(q);
	return true;
}

static void print_list(json_t *list, const char *dir)
{
	json_t *st;
	size_t i;

	if (json_array_size(list))
		fputs(list_header, stdout);
	else
		printf("no machine is running on this host (in %s)\n", dir);
	json_array_foreach(list, i, st) {
		render(stdout, json_object_get(st, "error") ? no_answer_text
							    : list_text, st);
	}
}

static int cli_list(const struct options *o, struct qmp_client *q,
		    struct error *err)
{
	char dir[RUNTIME_PATH_MAX];
	json_t *list = json_array();

	(void)q;
	if (!runtime_dir(dir, sizeof(dir), err) &&
	    !runtime_names(dir, list_machine, list, err)) {
		if (o->json)
			cli_print_json(list);
		else
			print_list(list, dir);
	}
	json_decref(list);
	return err->code ? CLI_FAILED : CLI_OK;
}

static int cli_help(const struct options *o, struct qmp_client *q,
		    struct error *err)
{
	(void)q;
	(void)err;
	(o->man ? usage_man : usage_print)(stdout, o->topic);
	return CLI_OK;
}

static int cli_completion(const struct options *o, struct qmp_client *q,
			  struct error *err)
{
	(void)q;
	(void)err;
	usage_completion(stdout, o->shell);
	return CLI_OK;
}

/*
 * A subcommand is the QMP command @qmp, whose arguments are the options and
 * whose result @text shows, or a function. Both get a connection to the
 * machine, unless the subcommand is @local.
 */
static const struct {
	const char *qmp, *text;
	cli_command_fn *run;
	bool local;
} table[CMDS] = {
	[CMD_MIGRATE] = { .run = cli_migrate },
	[CMD_RECOVER] = { .qmp = "migrate-recover" },
	[CMD_RESOLVE] = { .qmp = "ferry-resolve" },
	[CMD_POISON] = { .qmp = "ferry-poison", .text = poison_text },
	[CMD_DUMP] = { .run = cli_dump },
	[CMD_STATUS] = { .run = cli_status },
	[CMD_LIST] = { .run = cli_list, .local = true },
	[CMD_STOP] = { .qmp = "stop" },
	[CMD_CONT] = { .qmp = "cont" },
	[CMD_RESET] = { .qmp = "system_reset" },
	[CMD_POWERDOWN] = { .qmp = "system_powerdown" },
	[CMD_QUIT] = { .run = cli_quit },
	[CMD_EVENTS] = { .run = cli_events },
	[CMD_CONSOLE] = { .run = cli_console, .local = true },
	[CMD_COMPLETION] = { .run = cli_completion, .local = true },
	[CMD_HELP] = { .run = cli_help, .local = true },
	[CMD_VERSION] = { .text = version_text, .local = true },
};

/* Pages are poisoned one by one: many take longer than any other command */
static int answer_ms(const struct options *o)
{
	const uint64_t ms = QMP_TIMEOUT_MS + o->count * QMP_POISON_MS;

	if (o->cmd != CMD_POISON)
		return QMP_TIMEOUT_MS;
	return ms < POISON_TIMEOUT_MS ? (int)ms : POISON_TIMEOUT_MS;
}

int cli_run(const struct options *o)
{
	const char *qmp = table[o->cmd].qmp, *text = table[o->cmd].text;
	struct error err = { 0 };
	struct qmp_client *q = NULL;
	json_t *args = NULL;
	int rc = CLI_OK;

	if (!table[o->cmd].local)
		q = cli_open(o->name, o->control, answer_ms(o), &err);
	if (q && qmp)
		args = cli_members(o, CLI_QMP, &err);
	if (args)
		rc = execute(o, q, qmp, args, text, &err);
	else if (!err.code && text)
		render(stdout, text, NULL);
	else if (!err.code)
		rc = table[o->cmd].run(o, q, &err);
	qmp_close(q);
	if (err.code)
		log_line("%s", err.text);
	return err.code || cli_flush() ? CLI_FAILED : rc;
}
