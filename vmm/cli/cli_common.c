// SPDX-License-Identifier: MIT
/* cli_common.c - Shared by the subcommands that talk to a machine */

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

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

int cli_call(const struct options *o, int timeout_ms, const char *command,
	     json_t *args, json_t **ret)
{
	struct error err = { 0 };
	struct qmp_client *q = cli_open(o, &err);

	*ret = NULL;
	if (q) {
		qmp_timeout(q, timeout_ms);
		qmp_execute(q, command, args, ret, &err);
	} else {
		json_decref(args);
	}
	qmp_close(q);
	return err.code ? cli_fail(&err) : CLI_OK;
}

int cli_absolute(const char *prefix, const char *path, char *to,
		 struct error *err)
{
	char here[PATH_MAX] = "";
	json_t *text;
	int n;

	if (*path != '/' && !getcwd(here, sizeof(here)))
		return error_set(err, errno, "cannot get the current "
				 "directory: %m");
	n = snprintf(to, CLI_PATH_MAX, "%s%s%s%s", prefix, here,
		     *here ? "/" : "", path);
	if (n < 0 || n >= CLI_PATH_MAX)
		return error_set(err, ENAMETOOLONG, "the path is too long");
	text = json_string(to);
	json_decref(text);
	return text ? 0 : error_set(err, EILSEQ, "QMP can't represent the path "
				    "of the %s: it is not UTF-8",
				    strcmp(prefix, "unix:") ? "file"
							    : "socket");
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

/* An earlier write may have failed, with a cause that errno no longer has */
int cli_flush(void)
{
	static bool reported;

	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	if (!reported)
		log_line("cannot write the output%s%s", errno ? ": " : "",
			 errno ? strerrordesc_np(errno) : "");
	reported = true;
	return -EIO;
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

double cli_poisoned(json_t *status)
{
	json_t *list = cli_get(status, "poisoned"), *range;
	double bytes = 0;
	size_t i;

	json_array_foreach(list, i, range)
		bytes += cli_number(range, "size");
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
