// SPDX-License-Identifier: MIT
/* cli_dump.c - ferry dump: guest memory into a file */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli_common.h"
#include "vmm/base/log.h"

#define PROTOCOL "file:"

/**
 * absolute() - A path that means the same to the machine's process
 * @path:	what the user typed
 * @to:		where to put PROTOCOL and the absolute path
 * @size:	room there
 * @err:	why not
 *
 * Return: 0, -errno
 */
static int absolute(const char *path, char *to, size_t size,
		    struct error *err)
{
	char here[PATH_MAX] = "";
	int n;

	if (*path != '/' && !getcwd(here, sizeof(here)))
		return error_set(err, errno, "cannot tell the current "
				 "directory: %m");
	n = snprintf(to, size, "%s%s%s%s", PROTOCOL, here,
		     *here ? "/" : "", path);
	if (n < 0 || (size_t)n >= size)
		return error_set(err, ENAMETOOLONG, "the path is too long");
	return 0;
}

/**
 * ask() - The command that was meant, with its arguments
 * @o:		the options
 * @file:	from absolute()
 * @args:	set to the arguments, or NULL if JSON can't say them
 *
 * Return: QMP command
 */
static const char *ask(const struct options *o, const char *file,
		       json_t **args)
{
	if (o->raw) {
		*args = json_pack("{s:I, s:I, s:s}",
				  "val", (json_int_t)o->address,
				  "size", (json_int_t)o->size,
				  "filename", file + strlen(PROTOCOL));
		return "pmemsave";
	}
	*args = json_pack("{s:b, s:s}", "paging", 0, "protocol", file);
	if (*args && o->size) {
		json_object_set_new(*args, "begin",
				    json_integer((json_int_t)o->address));
		json_object_set_new(*args, "length",
				    json_integer((json_int_t)o->size));
	}
	return "dump-guest-memory";
}

/**
 * print_lost() - Say what is not in the file
 * @o:		the options
 * @ret:	what dump-guest-memory returned
 */
static void print_lost(const struct options *o, json_t *ret)
{
	json_t *list = cli_get(ret, "lost");
	size_t i, n = json_array_size(list);

	if (o->json) {
		cli_print_json(ret);
		return;
	}
	for (i = 0; i < n; i++) {
		json_t *e = json_array_get(list, i);

		printf("lost: %.0f bytes at 0x%" PRIx64 "\n",
		       cli_number(e, "size"),
		       (uint64_t)json_integer_value(cli_get(e, "address")));
	}
	if (list)
		printf("%.0f bytes are lost (memory failure), and not in the "
		       "file\n", cli_number(ret, "lost-bytes"));
}

int cli_dump(const struct options *o)
{
	char file[PATH_MAX + sizeof(PROTOCOL)];
	struct qmp_client *q = NULL;
	struct error err = { 0 };
	json_t *args, *ret = NULL;
	const char *command;
	int rc = CLI_OK;

	if (o->address > INT64_MAX || o->size > INT64_MAX) {
		log_line("no guest has memory there");
		return CLI_FAILED;
	}
	if (!absolute(o->file, file, sizeof(file), &err))
		q = cli_open(o, &err);
	if (!q)
		return cli_fail(&err);

	/* It takes as long as it takes; the machine's end ends it, too */
	qmp_timeout(q, -1);
	command = ask(o, file, &args);
	if (!args)
		error_set(&err, EINVAL, "QMP can't name this file: its path "
			  "is no UTF-8");
	if (err.code || qmp_execute(q, command, args, &ret, &err))
		rc = cli_fail(&err);
	else
		print_lost(o, ret);
	json_decref(ret);
	qmp_close(q);
	return rc;
}
