// SPDX-License-Identifier: MIT
/* cli_dump.c - ferry dump: write guest memory to a file */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli_common.h"
#include "vmm/base/log.h"

#define PROTOCOL "file:"

/* Return: QMP command */
static const char *dump_command(const struct options *o, const char *file,
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
	if (o->size) {
		json_object_set_new(*args, "begin",
				    json_integer((json_int_t)o->address));
		json_object_set_new(*args, "length",
				    json_integer((json_int_t)o->size));
	}
	return "dump-guest-memory";
}

static void print_lost(json_t *ret)
{
	json_t *list = cli_get(ret, "lost"), *range;
	size_t i;

	json_array_foreach(list, i, range) {
		json_int_t at = json_integer_value(cli_get(range, "address"));

		printf("lost: %.0f bytes at 0x%" PRIx64 "\n",
		       cli_number(range, "size"), (uint64_t)at);
	}
	if (list)
		printf("%.0f bytes are lost (memory failure), and are not in "
		       "the file\n", cli_number(ret, "lost-bytes"));
}

int cli_dump(const struct options *o)
{
	char file[CLI_PATH_MAX];
	struct error err = { 0 };
	json_t *args, *ret;
	const char *command;
	int rc;

	if (o->address > INT64_MAX || o->size > INT64_MAX) {
		log_line("no guest has memory at this address");
		return CLI_FAILED;
	}
	if (cli_absolute(PROTOCOL, o->file, file, &err))
		return cli_fail(&err);
	command = dump_command(o, file, &args);
	/* Its duration depends on the size; the end of the machine ends it */
	rc = cli_call(o, -1, command, args, &ret);
	if (!rc && o->json)
		cli_print_json(ret);
	else if (!rc)
		print_lost(ret);
	json_decref(ret);
	return rc;
}
