// SPDX-License-Identifier: MIT
/*
 * cli_migrate.c - ferry migrate
 *
 * Starts the migration, then asks the source how it goes, ten times a second
 * and whenever it says that its status changed, until that is final.
 *
 * Ctrl-C before the hand-over asks the source to cancel, and waits for what
 * becomes of that; after the hand-over nothing can be called back, so it only
 * ends this program. A second Ctrl-C ends it in any case.
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
/* So many events that matter here less do not put off the next question */
#define EVENTS_A_TURN 100

/**
 * struct follow - A migration that is watched
 * @o:		the options
 * @q:		connection to the source
 * @info:	what query-migrate last returned, never NULL
 * @signals:	from cli_signals()
 * @cancelled:	Ctrl-C was seen, and acted upon
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

/**
 * in_list() - Is a word one of several?
 * @word:	the word
 * @list:	ends with NULL
 *
 * Return: true if so
 */
static bool in_list(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

/**
 * is_over() - Has the migration come to its end?
 * @f:		the migration
 *
 * Return: true if its status is final
 */
static bool is_over(const struct follow *f)
{
	static const char *const final[] = {
		"completed", "failed", "cancelled", "postcopy-paused", NULL
	};

	return in_list(cli_text(f->info, "status", ""), final);
}

/**
 * is_early() - Can the migration still be called back?
 * @f:		the migration
 *
 * Return: true if the guest was not handed over when last asked
 */
static bool is_early(const struct follow *f)
{
	static const char *const early[] = {
		"", "none", "setup", "active", "device", NULL
	};

	return in_list(cli_text(f->info, "status", ""), early);
}

/**
 * show() - Write the progress line, if there is a terminal
 * @f:		the migration
 */
static void show(struct follow *f)
{
	struct winsize ws = { 0 };
	char text[200];
	size_t room = 80;

	if (!isatty(STDERR_FILENO))
		return;
	if (!ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) && ws.ws_col > 1)
		room = ws.ws_col;	/* the last column makes some wrap */
	progress_text(f->info, cli_label(f->o), text,
		      room < sizeof(text) ? room : sizeof(text));
	fprintf(stderr, "\r%s\033[K", text);
	f->shown = true;
}

/**
 * hide() - Take the progress line away, so that other text can be printed
 * @f:		the migration
 */
static void hide(struct follow *f)
{
	if (f->shown)
		fputs("\r\033[K", stderr);
	f->shown = false;
}

/**
 * ask() - Ask the source how it goes
 * @f:		the migration
 * @err:	why there is no answer
 *
 * Return: 0, or as qmp_execute()
 */
static int ask(struct follow *f, struct error *err)
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

/**
 * note_event() - Take the status out of an event
 * @f:		the migration
 * @event:	what happened
 *
 * The source may end right after it said that it is done: then this is all
 * we ever hear of it.
 *
 * Return: true if the status changed
 */
static bool note_event(struct follow *f, json_t *event)
{
	json_t *status = cli_get(event, "data.status");

	if (strcmp(cli_text(event, "event", ""), "MIGRATION") || !status)
		return false;
	json_object_set(f->info, "status", status);
	return true;
}

/**
 * interrupted() - Ctrl-C was pressed
 * @f:		the migration
 *
 * Return: 0 to go on, -EINTR to leave
 */
static int interrupted(struct follow *f)
{
	struct signalfd_siginfo si;
	struct error err = { 0 };

	/* Taken off, or it would interrupt the next wait too */
	while (read(f->signals, &si, sizeof(si)) > 0)
		;
	hide(f);
	if (f->cancelled || !is_early(f)) {
		log_line("the migration goes on without being watched; "
			 "`ferry status %s` shows it", cli_label(f->o));
		return -EINTR;
	}

	f->cancelled = true;
	if (qmp_execute(f->q, "migrate_cancel", NULL, NULL, &err))
		log_line("it could not be cancelled: %s", err.text);
	else
		log_line("cancelling; Ctrl-C again leaves at once");
	return 0;
}

/**
 * wait_turn() - Wait for the next time to ask
 * @f:		the migration
 * @err:	why the connection is lost
 *
 * Return: 0, -EINTR to leave, -ECONNRESET, -EPROTO
 */
static int wait_turn(struct follow *f, struct error *err)
{
	bool changed = false;
	json_t *event;
	int rc, i;

	for (i = 0; i < EVENTS_A_TURN && !changed; i++) {
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

/**
 * follow_end() - Watch the migration until it is over
 * @f:		the migration
 * @err:	why not
 *
 * Return: 0, -EINTR to leave, or as qmp_execute()
 */
static int follow_end(struct follow *f, struct error *err)
{
	int rc;

	for (;;) {
		rc = ask(f, err);
		if (rc)
			break;
		show(f);
		if (is_over(f))
			return 0;
		/* An event's word is not enough: the figures come with ask() */
		rc = wait_turn(f, err);
		if (rc)
			break;
	}

	if (rc != -ECONNRESET || !is_over(f))
		return rc;
	error_clear(err);
	return 0;
}

/**
 * report() - Say how it ended
 * @f:		the migration, over
 *
 * Return: exit status
 */
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
			 "(%s). Pages are still missing over there: end "
			 "neither of the two machines", name, why);
		return CLI_PAUSED;
	}
	if (!strcmp(status, "cancelled"))
		log_line("%s: the migration was cancelled; the guest is "
			 "still here", name);
	else
		log_line("%s: the migration failed: %s", name, why);
	return CLI_FAILED;
}

/**
 * detach() - Say that it has begun, and leave it alone
 * @f:		the migration
 * @err:	why there is nothing to say
 *
 * Return: 0, or as qmp_execute()
 */
static int detach(struct follow *f, struct error *err)
{
	int rc = 0;

	if (f->o->json) {
		rc = ask(f, err);
		if (!rc)
			cli_print_json(f->info);
	} else {
		printf("%s is on its way to %s\n", cli_label(f->o),
		       f->o->uri);
	}
	return rc;
}

/**
 * migrate() - Start a migration, and see it through
 * @f:		the migration
 * @err:	why not
 *
 * Return: exit status, with @err set if it is CLI_FAILED without a report
 */
static int migrate(struct follow *f, struct error *err)
{
	json_t *parameters = json_pack("{s:I}", "max-postcopy-bandwidth",
				       (json_int_t)f->o->bandwidth);
	int rc;

	if (f->o->connections)
		json_object_set_new(parameters, "multifd-channels",
			json_integer((json_int_t)f->o->connections));
	rc = qmp_execute(f->q, "migrate-set-parameters", parameters, NULL,
			 err);
	if (!rc)
		rc = qmp_execute(f->q, "migrate-set-capabilities",
			json_pack("{s:[{s:s, s:b}]}", "capabilities",
				  "capability", "ferry-poison",
				  "state", !f->o->no_poison), NULL, err);
	if (!rc)
		rc = qmp_execute(f->q, "migrate", json_pack("{s:s}", "uri",
				 f->o->uri), NULL, err);
	if (rc)
		return CLI_FAILED;
	if (f->o->detach)
		return detach(f, err) ? CLI_FAILED : CLI_OK;

	f->signals = cli_signals();
	qmp_watch(f->q, f->signals);
	rc = follow_end(f, err);
	hide(f);
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
