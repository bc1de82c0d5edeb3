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

/* The value of an option that was given, for a member called @name */
static json_t *value_json(const struct options *o, const struct option_def *d,
			  const char *name, struct error *err)
{
	const void *field = (const char *)o + d->field;
	const char *const *text = field;

	switch (d->type) {
	case VALUE_FLAG:
		return json_boolean(*name != '!');
	case VALUE_CHOICE:
		return json_string(d->name);
	case VALUE_YES:
		return json_boolean(!strcmp(*text, "yes"));
	case VALUE_PATH:
		return cli_path("", *text, err);
	case VALUE_URI:
	case VALUE_PEER:
		return strncmp(*text, "unix:", 5) ? json_string(*text) :
		       cli_path("unix:", *text + 5, err);
	default:
		return d->max ? json_integer(*(const json_int_t *)field) :
				json_string(*text);
	}
}

json_t *cli_members(const struct options *o, size_t column, struct error *err)
{
	json_t *to = json_object();

	for (const struct option_def *d = NULL; (d = option_next(o->cmd, d));) {
		const char *name = *(char *const *)((const char *)d + column);

		if (!name || !options_given(o, d) ||
		    !json_object_set_new(to, name + (*name == '!'),
					 value_json(o, d, name, err)))
			continue;
		if (!err->code)
			error_set(err, EILSEQ, "QMP can't represent %s: it is "
				  "not UTF-8", d->name ? d->name : d->arg);
		json_decref(to);
		return NULL;
	}
	return to;
}

char *cli_render(const char *template, json_t *value)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out) {
		render(out, template, value);
		fclose(out);
	}
	return text ? text : strdup("");
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

char *cli_json(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(12));
	char *line;

	if (asprintf(&line, "%s\n", text ? text : "") < 0)
		line = strdup("");
	free(text);
	return line;
}

void cli_print_json(const json_t *value)
{
	char *text = cli_json(value);

	fputs(text, stdout);
	free(text);
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
