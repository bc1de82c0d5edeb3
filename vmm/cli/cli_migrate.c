// SPDX-License-Identifier: MIT
/*
 * cli_migrate.c - ferry migrate
 *
 * Starts the migration, then queries the source ten times a second, and at each
 * event that reports a new status, until the status is final.
 *
 * Ctrl-C before the hand-over asks the source to cancel the migration, and
 * waits for the result. After the hand-over a migration can't be cancelled, so
 * Ctrl-C only ends this program. A second Ctrl-C ends it in any case.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli_common.h"
#include "cli_progress.h"
#include "vmm/base/log.h"

#define POLL_MS 100
/* Events read between two queries, at most: other events may be frequent */
#define EVENTS_PER_QUERY 100

/**
 * struct follow - A migration that is being watched
 * @o:		the options
 * @q:		connection to the source
 * @info:	what query-migrate last returned, never NULL
 * @signals:	from cli_signals()
 * @cancelled:	migrate_cancel was sent
 * @shown:	a progress line is on the terminal
 */
struct follow {
	const struct options *o;
	struct qmp_client *q;
	json_t *info;
	int signals;
	bool cancelled;
	bool shown;
};

static bool status_is(const struct follow *f, const char *const *list)
{
	const char *status = cli_text(f->info, "status", "");

	for (; *list; list++)
		if (!strcmp(status, *list))
			return true;
	return false;
}

static bool is_final(const struct follow *f)
{
	static const char *const final[] = {
		"completed", "failed", "cancelled", "postcopy-paused", NULL
	};

	return status_is(f, final);
}

static bool can_cancel(const struct follow *f)
{
	static const char *const early[] = {
		"", "none", "setup", "active", "device", NULL
	};

	return status_is(f, early);
}

static void show_progress(struct follow *f)
{
	struct winsize ws = { 0 };
	char text[200];
	size_t room = 80;

	if (!isatty(STDERR_FILENO))
		return;
	/* Some terminals wrap a line that fills the last column */
	if (!ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) && ws.ws_col > 1)
		room = ws.ws_col;
	progress_text(f->info, cli_label(f->o), text,
		      room < sizeof(text) ? room : sizeof(text));
	fprintf(stderr, "\r%s\033[K", text);
	f->shown = true;
}

static void hide_progress(struct follow *f)
{
	if (f->shown)
		fputs("\r\033[K", stderr);
	f->shown = false;
}

static int query(struct follow *f, struct error *err)
{
	json_t *info;
	int rc;

	rc = qmp_execute(f->q, "query-migrate", NULL, &info, err);
	if (rc)
		return rc;
	json_decref(f->info);
	f->info = info;
	return 0;
}

/*
 * Take the status from an event: the source may end right after the event that
 * reports the final status, before another query is answered.
 *
 * Return: true if the event reports a status
 */
static bool note_event(struct follow *f, json_t *event)
{
	json_t *status = cli_get(event, "data.status");

	if (strcmp(cli_text(event, "event", ""), "MIGRATION") || !status)
		return false;
	json_object_set(f->info, "status", status);
	return true;
}

/* Return: 0 to go on, -EINTR to end the program */
static int interrupted(struct follow *f)
{
	struct signalfd_siginfo si;
	struct error err = { 0 };

	/* Consume the signals, or they would interrupt the next wait too */
	while (read(f->signals, &si, sizeof(si)) > 0)
		;
	hide_progress(f);
	if (f->cancelled || !can_cancel(f)) {
		log_line("the migration continues in the background; "
			 "`ferry status %s` shows its state", cli_label(f->o));
		return -EINTR;
	}

	f->cancelled = true;
	if (qmp_execute(f->q, "migrate_cancel", NULL, NULL, &err))
		log_line("the migration could not be cancelled: %s", err.text);
	else
		log_line("cancelling; Ctrl-C again ends this command at once");
	return 0;
}

/* Return: 0, -EINTR to end the program, -ECONNRESET, -EPROTO */
static int wait_for_change(struct follow *f, struct error *err)
{
	bool changed = false;
	json_t *event;
	int rc, i;

	for (i = 0; i < EVENTS_PER_QUERY && !changed; i++) {
		rc = qmp_next_event(f->q, POLL_MS, &event, err);
		if (rc == -EINTR)
			return interrupted(f);
		if (rc)
			return rc == -ETIMEDOUT ? 0 : rc;
		changed = note_event(f, event);
		json_decref(event);
	}
	return 0;
}

static int follow_to_end(struct follow *f, struct error *err)
{
	int rc;

	/* A final status in an event needs a query for the figures, too */
	do {
		rc = query(f, err);
		if (rc)
			break;
		show_progress(f);
		if (is_final(f))
			return 0;
		rc = wait_for_change(f, err);
	} while (!rc);

	if (rc != -ECONNRESET || !is_final(f))
		return rc;
	error_clear(err);
	return 0;
}

/* Return: exit status */
static int report(const struct follow *f)
{
	const char *status = cli_text(f->info, "status", "");
	const char *why = cli_text(f->info, "error-desc", "no reason given");
	const char *name = cli_label(f->o);

	if (f->o->json)
		cli_print_json(f->info);
	if (!strcmp(status, "completed")) {
		if (!f->o->json) {
			printf("%s is at %s now\n", name, f->o->uri);
			progress_summary(f->info, stdout);
		}
		return CLI_OK;
	}
	if (!strcmp(status, "postcopy-paused")) {
		log_line("%s: the connection was lost after the hand-over "
			 "(%s). The destination still lacks pages that only "
			 "the source has: end neither machine", name, why);
		return CLI_PAUSED;
	}
	if (!strcmp(status, "cancelled"))
		log_line("%s: the migration was cancelled; the guest remains "
			 "on the source", name);
	else
		log_line("%s: the migration failed: %s", name, why);
	return CLI_FAILED;
}

static int report_started(struct follow *f, struct error *err)
{
	int rc = 0;

	if (!f->o->json)
		printf("the migration of %s to %s has started\n",
		       cli_label(f->o), f->o->uri);
	else
		rc = query(f, err);
	if (!rc && f->o->json)
		cli_print_json(f->info);
	return rc;
}

/* A relative path is this process's, which the machine does not know */
static int resolve_uri(const struct options *o, char *uri, struct error *err)
{
	json_t *text;

	if (!strncmp(o->uri, "unix:", 5))
		return cli_absolute("unix:", o->uri + 5, uri, err);
	snprintf(uri, CLI_PATH_MAX, "%s", o->uri);
	text = json_string(uri);
	json_decref(text);
	return text ? 0 : error_set(err, EILSEQ, "QMP can't represent the URI: "
				    "it is not UTF-8");
}

static void add_number(json_t *to, const char *name, bool given, uint64_t n)
{
	if (given)
		json_object_set_new(to, name, json_integer((json_int_t)n));
}

/* Return: the parameters that the options set; others keep their values */
static json_t *chosen_parameters(const struct options *o)
{
	json_t *p = json_object();

	add_number(p, "max-postcopy-bandwidth",
		   o->bandwidth != OPTION_ABSENT, o->bandwidth);
	add_number(p, "multifd-channels", o->connections, o->connections);
	add_number(p, "downtime-limit", o->downtime_limit, o->downtime_limit);
	return p;
}

/* Without --no-poison, a machine that had the option before loses it */
static int set_poison(struct follow *f, bool on, struct error *err)
{
	return qmp_execute(f->q, "migrate-set-capabilities",
		json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability",
			  "ferry-poison", "state", on), NULL, err);
}

static int send_migrate(struct follow *f, struct error *err)
{
	char uri[CLI_PATH_MAX];
	int rc = resolve_uri(f->o, uri, err);

	return rc ? rc : qmp_execute(f->q, "migrate",
				     json_pack("{s:s}", "uri", uri), NULL,
				     err);
}

/* Set what the options choose, migrate; if that is refused, set it back */
static int set_and_migrate(struct follow *f, json_t *chosen, struct error *err)
{
	json_t *before = NULL, *kept = json_object(), *value;
	const char *name;
	int rc;

	rc = qmp_execute(f->q, "query-migrate-parameters", NULL, &before, err);
	json_object_foreach(chosen, name, value) {
		json_object_set(kept, name, json_object_get(before, name));
	}
	if (!rc)
		rc = qmp_execute(f->q, "migrate-set-parameters",
				 json_incref(chosen), NULL, err);
	if (!rc) {
		rc = set_poison(f, !f->o->no_poison, err);
		if (!rc)
			rc = send_migrate(f, err);
		if (rc)
			qmp_execute(f->q, "migrate-set-parameters",
				    json_incref(kept), NULL, NULL);
	}
	json_decref(before);
	json_decref(kept);
	return rc;
}

/* A migration that is under way must keep its parameters */
static int start(struct follow *f, struct error *err)
{
	json_t *chosen;
	int rc = query(f, err);

	if (rc)
		return rc;
	if (!is_final(f) && strcmp(cli_text(f->info, "status", ""), "none"))
		return send_migrate(f, err);
	chosen = chosen_parameters(f->o);
	rc = set_and_migrate(f, chosen, err);
	json_decref(chosen);
	return rc;
}

/* Return: exit status; CLI_FAILED with or without @err set */
static int migrate(struct follow *f, struct error *err)
{
	int rc = start(f, err);

	if (!rc && f->o->detach)
		rc = report_started(f, err);
	if (rc || f->o->detach)
		return rc ? CLI_FAILED : CLI_OK;

	f->signals = cli_signals();
	qmp_watch(f->q, f->signals);
	rc = follow_to_end(f, err);
	hide_progress(f);
	if (rc == -EINTR)
		return CLI_INTERRUPTED;
	return rc ? CLI_FAILED : report(f);
}

int cli_migrate(const struct options *o)
{
	struct follow f = { .o = o, .signals = -1 };
	struct error err = { 0 };
	int rc;

	f.q = cli_open(o, &err);
	if (!f.q)
		return cli_fail(&err);

	f.info = json_object();
	rc = migrate(&f, &err);
	if (err.code)
		cli_fail(&err);
	json_decref(f.info);
	qmp_close(f.q);
	if (f.signals >= 0)
		close(f.signals);
	return rc;
}
