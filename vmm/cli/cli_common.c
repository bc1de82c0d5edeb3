// SPDX-License-Identifier: MIT
/* cli_common.c - What the subcommands that talk to a machine share */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "cli_common.h"
#include "vmm/base/log.h"
#include "vmm/base/runtime.h"

struct qmp_client *cli_open(const struct options *o, struct error *err)
{
	char path[RUNTIME_PATH_MAX];

	if (o->control)
		return qmp_open(o->name, o->control, QMP_TIMEOUT_MS, err);
	if (runtime_path(o->name, path, sizeof(path), err))
		return NULL;
	return qmp_open(o->name, path, QMP_TIMEOUT_MS, err);
}

const char *cli_label(const struct options *o)
{
	return o->name ? o->name : o->control;
}

int cli_fail(const struct error *err)
{
	log_line("%s", err->text);
	return CLI_FAILED;
}

int cli_finish(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	log_line("cannot write the output: %m");
	return CLI_FAILED;
}

void cli_print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
	putchar('\n');
}

json_t *cli_get(json_t *value, const char *path)
{
	char name[64];
	size_t len;

	while (value && *path) {
		len = strcspn(path, ".");
		if (len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		value = json_object_get(value, name);
		path += len + (path[len] == '.');
	}
	return value;
}

double cli_number(json_t *value, const char *path)
{
	return json_number_value(cli_get(value, path));
}

const char *cli_text(json_t *value, const char *path, const char *missing)
{
	const char *text = json_string_value(cli_get(value, path));

	return text ? text : missing;
}

double cli_poisoned(json_t *list)
{
	size_t n = json_array_size(list), i;
	double bytes = 0;

	for (i = 0; i < n; i++)
		bytes += cli_number(json_array_get(list, i), "size");
	return bytes;
}

int cli_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd >= 0)
		sigprocmask(SIG_BLOCK, &set, NULL);
	return fd;
}
