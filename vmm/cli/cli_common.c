// SPDX-License-Identifier: MIT
/* cli_common.c - Shared by the subcommands that talk to a machine */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli_common.h"
#include "vmm/base/log.h"
#include "vmm/base/runtime.h"

struct qmp_client *cli_open(const char *name, const char *control,
			    int timeout_ms, struct error *err)
{
	char path[RUNTIME_PATH_MAX];

	if (!control && runtime_path(name, path, sizeof(path), err))
		return NULL;
	return qmp_open(name, control ? control : path, timeout_ms, err);
}

int cli_query(struct qmp_client *q, json_t **status, struct error *err)
{
	json_t *info;
	int rc = qmp_execute(q, "query-status", NULL, status, err);

	if (!rc)
		rc = qmp_execute(q, "query-migrate", NULL, &info, err);
	if (!rc)
		return json_object_set_new(*status, "migration", info);
	json_decref(*status);
	*status = NULL;
	return rc;
}

json_t *cli_members(const struct options *o, size_t column)
{
	json_t *to = json_object();

	for (const struct option_def *d = option_table; d->name; d++) {
		const char *name = *(char *const *)((const char *)d + column);
		const void *field = (const char *)o + d->field;

		if (!name || !options_given(o, d))
			continue;
		json_object_set_new(to, name, d->type == VALUE_FLAG ?
			json_true() : d->max ?
			json_integer(*(const json_int_t *)field) :
			d->type == VALUE_PATH ?
			cli_path("", *(const char *const *)field, NULL) :
			json_string(*(const char *const *)field));
	}
	return to;
}

json_t *cli_path(const char *prefix, const char *path, struct error *err)
{
	char *here = *path == '/' ? strdup("") : get_current_dir_name();
	json_t *text = NULL;

	if (!here)
		error_set(err, errno, "cannot get the current directory: %m");
	else
		text = json_sprintf("%s%s%s%s", prefix, here,
				    *here ? "/" : "", path);
	if (!text)
		error_set(err, EILSEQ, "QMP can't represent the path %s%s: it "
			  "is not UTF-8", prefix, path);
	free(here);
	return text;
}

json_t *cli_uri(const struct options *o, struct error *err)
{
	json_t *text;

	if (!strncmp(o->uri, "unix:", 5))
		return cli_path("unix:", o->uri + 5, err);
	text = json_string(o->uri);
	if (!text)
		error_set(err, EILSEQ, "QMP can't represent the URI: it is not "
			  "UTF-8");
	return text;
}

const char *cli_label(const struct options *o)
{
	return o->name ? o->name : o->control;
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
