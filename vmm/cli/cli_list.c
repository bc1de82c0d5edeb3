// SPDX-License-Identifier: MIT
/*
 * cli_list.c - ferry list
 *
 * Queries every control socket in this user's runtime directory. A socket whose
 * machine was killed is shown as not answering, and not removed: the next
 * machine of that name replaces it.
 */

#include <stdio.h>

#include "cli_common.h"
#include "vmm/base/runtime.h"
#include "vmm/base/units.h"

/* Short, because a machine that hangs delays the others, in ms */
#define LIST_TIMEOUT_MS 2000

/* Append what query-status and query-migrate return, or the error */
static bool query_machine(void *ctx, const char *name)
{
	char path[RUNTIME_PATH_MAX];
	json_t *st = NULL, *info = NULL;
	struct qmp_client *q = NULL;
	struct error err = { 0 };

	if (!runtime_path(name, path, sizeof(path), &err))
		q = qmp_open(name, path, LIST_TIMEOUT_MS, &err);
	if (!q || qmp_execute(q, "query-status", NULL, &st, &err))
		st = json_pack("{s:s, s:s}", "status", "not-answering",
			       "error", err.text);
	else if (!qmp_execute(q, "query-migrate", NULL, &info, NULL))
		json_object_set_new(st, "migration", info);

	/* The name of the socket, which commands need, not the machine's own */
	if (st)
		json_object_set_new(st, "name", json_string(name));
	json_array_append_new(ctx, st);
	qmp_close(q);
	return true;
}

static void print_machine(json_t *st)
{
	const char *status = cli_text(st, "status", "unknown");

	printf("%-20s %-16s", cli_text(st, "name", "?"), status);
	if (cli_get(st, "error"))
		printf(" %s\n", cli_text(st, "error", ""));
	else
		printf(" %8.0f %5.0f %9.0f  %s\n",
		       cli_number(st, "memory") / MIB, cli_number(st, "cpus"),
		       cli_poisoned(st) / (4 * KIB),
		       cli_text(st, "migration.status", "none"));
}

static void print_machines(json_t *list, const char *dir)
{
	json_t *st;
	size_t i;

	if (!json_array_size(list)) {
		printf("no machine is running on this host (in %s)\n", dir);
		return;
	}
	printf("%-20s %-16s %8s %5s %9s  %s\n", "NAME", "STATUS", "MIB",
	       "VCPUS", "POISONED", "MIGRATION");
	json_array_foreach(list, i, st) {
		print_machine(st);
	}
}

int cli_list(const struct options *o)
{
	char dir[RUNTIME_PATH_MAX];
	struct error err = { 0 };
	json_t *list = json_array();
	int rc = CLI_OK;

	if (runtime_dir(dir, sizeof(dir), &err) ||
	    runtime_names(dir, query_machine, list, &err))
		rc = cli_fail(&err);
	else if (o->json)
		cli_print_json(list);
	else
		print_machines(list, dir);
	json_decref(list);
	return rc;
}
