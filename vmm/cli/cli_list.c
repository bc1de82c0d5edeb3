// SPDX-License-Identifier: MIT
/*
 * cli_list.c - ferry list
 *
 * Asks every socket in this user's runtime directory. A socket whose machine
 * was killed is shown as not answering, and left alone: the next machine of
 * that name replaces it.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_common.h"
#include "options_value.h"
#include "vmm/base/runtime.h"
#include "vmm/memory/ram.h"

/* A machine that hangs must not hide the others for long, in ms */
#define LIST_TIMEOUT_MS 2000

#define SUFFIX ".sock"

int cli_is_socket(const struct dirent *d)
{
	size_t len = strlen(d->d_name), end = strlen(SUFFIX);

	return len > end && len <= NAME_MAX_LEN + end &&
	       !strcmp(d->d_name + len - end, SUFFIX);
}

/**
 * ask_machine() - Find out what a machine is doing
 * @name:	its name
 *
 * Return: what query-status returned, with query-migrate's as "migration"; or
 *	   an object with "status" not-answering and an "error"
 */
static json_t *ask_machine(const char *name)
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

	/* The name that finds it again, whatever it says of itself */
	if (st)
		json_object_set_new(st, "name", json_string(name));
	qmp_close(q);
	return st;
}

/**
 * print_machine() - Print one machine's line
 * @st:		from ask_machine()
 */
static void print_machine(json_t *st)
{
	const char *status = cli_text(st, "status", "unknown");

	printf("%-20s %-16s", cli_text(st, "name", "?"), status);
	if (cli_get(st, "error"))
		printf(" %s\n", cli_text(st, "error", ""));
	else
		printf(" %8.0f %5.0f %9.0f  %s\n",
		       cli_number(st, "memory") / MIB, cli_number(st, "cpus"),
		       cli_poisoned(cli_get(st, "poisoned")) / 4096,
		       cli_text(st, "migration.status", "none"));
}

/**
 * print_machines() - Print them all
 * @list:	array of what ask_machine() returned
 * @dir:	where they were found
 */
static void print_machines(json_t *list, const char *dir)
{
	size_t n = json_array_size(list), i;

	if (!n) {
		printf("no machines run here (in %s)\n", dir);
		return;
	}
	printf("%-20s %-16s %8s %5s %9s  %s\n", "NAME", "STATUS", "MIB",
	       "VCPUS", "POISONED", "MIGRATION");
	for (i = 0; i < n; i++)
		print_machine(json_array_get(list, i));
}

/**
 * ask_machines() - Find all machines
 * @dir:	where to look; nothing is there if it does not exist
 * @list:	array to append to
 * @err:	why not
 *
 * Return: 0, or -errno
 */
static int ask_machines(const char *dir, json_t *list, struct error *err)
{
	struct dirent **found;
	int n, i;

	n = scandir(dir, &found, cli_is_socket, alphasort);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return error_set(err, errno, "cannot look into %s: %m", dir);

	for (i = 0; i < n; i++) {
		found[i]->d_name[strlen(found[i]->d_name) -
				 strlen(SUFFIX)] = '\0';
		json_array_append_new(list, ask_machine(found[i]->d_name));
		free(found[i]);
	}
	free(found);
	return 0;
}

int cli_list(const struct options *o)
{
	char dir[RUNTIME_PATH_MAX];
	struct error err = { 0 };
	json_t *list = json_array();
	int rc = CLI_OK;

	if (runtime_dir(dir, sizeof(dir), &err) ||
	    ask_machines(dir, list, &err))
		rc = cli_fail(&err);
	else if (o->json)
		cli_print_json(list);
	else
		print_machines(list, dir);

	json_decref(list);
	return rc;
}
