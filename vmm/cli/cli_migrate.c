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
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli_common.h"
#include "stalls.h"
#include "vmm/base/log.h"

#define POLL_MS 100
/* Events read between two queries, at most: other events may be frequent */
#define EVENTS_PER_QUERY 100

/* Templates (render.h) for what query-migrate returned, with name and uri */
static const char progress_text[] =
	"{name}: {ferry.stage}[  {ferry.precopy.passes!} passes]"
	"[  {libvirt.memory_processed/M}/{ram.total!/M} MiB {percent,3}%]"
	"[  {ram.mbps!/B} MB/s]"
	"[  demand {ferry.pages.demand}]"
	"[  poison {ferry.pages.poison!}]";
static const char started_text[] =
	"the migration of {name} to {uri} has started\n";
static const char summary_text[] =
	"{name} is at {uri} now\n"
	"  time:     {ferry.total-ms} ms in total"
	"[, {ferry.downtime-ms,0.2} ms of it without a running guest]\n"
	"[  memory:   {ram.transferred,0.1/M} of {ram.total/M} MiB sent, "
	"{ram.mbps/B} MB/s\n]"
	"[  pages:    {ferry.pages.demand} on demand, {ferry.pages.push} pushed, "
	"{ferry.pages.zero} zero, {ferry.pages.poison} poisoned\n]"
	"[  precopy:  {ferry.precopy.passes!} passes, {ferry.precopy.pages} pages\n]"
	"[  vCPU    faults   p50 us   p90 us   p99 us   max us\n"
	"  all   {ferry.demand-latency-us.count!,8} "
	"{ferry.demand-latency-us.p50,8} {ferry.demand-latency-us.p90,8} "
	"{ferry.demand-latency-us.p99,8} {ferry.demand-latency-us.max,8}\n]"
	"<ferry.vcpus:[  {index,-5} {count!,8} {p50,8} {p90,8} {p99,8} {max,8}"
	"\n]>"
	"[  stalls:   {stalls}\n]";

/**
 * struct status - What a status of query-migrate means here
 * @name:	the status
 * @early:	before the hand-over: the migration can be cancelled
 * @final:	the migration has ended
 * @exit:	exit status then
 * @text:	template: for standard output if @exit is CLI_OK, else for
 *		standard error
 */
static const struct status {
	const char *name;
	bool early, final;
	int exit;
	const char *text;
} statuses[] = {
	{ "none", .early = true },
	{ "setup", .early = true },
	{ "active", .early = true },
	{ "device", .early = true },
	{ "completed", .final = true, .exit = CLI_OK, .text = summary_text },
	{ "postcopy-paused", .final = true, .exit = CLI_PAUSED,
	  "{name}: the connection was lost after the hand-over[ ({error-desc})]. "
	  "The destination still lacks pages that only the source has: end "
	  "neither machine[. What to do: {ferry.waiting.remedy}]" },
	{ "cancelled", .final = true, .exit = CLI_FAILED,
	  "{name}: the migration was cancelled; the guest remains on the "
	  "source" },
	{ "failed", .final = true, .exit = CLI_FAILED,
	  "{name}: the migration failed[: {error-desc}]" },
	{ .name = "" }	/* any other */
};

/**
 * struct follow - A migration that is being watched
 * @o:		the options
 * @q:		connection to the source
 * @info:	what query-migrate last returned, never NULL
 * @signals:	from cli_signals()
 * @cancelled:	migrate_cancel was sent
 * @shown:	a progress line is on the terminal
 * @reported:	how often it was reported that the connection was lost
 */
struct follow {
	const struct options *o;
	struct qmp_client *q;
	json_t *info;
	int signals;
	bool cancelled, shown;
	json_int_t reported;
};

static const struct status *status_of(const struct follow *f)
{
	const struct status *s = statuses;

	while (*s->name && !render_is(f->info, "status", s->name))
		s++;
	return s;
}

static int query(struct follow *f, struct error *err)
{
	json_t *info;
	int rc = qmp_execute(f->q, "query-migrate", NULL, &info, err);

	if (rc)
		return rc;
	json_decref(f->info);
	f->info = info;
	return 0;
}

/* For a terminal that can show its characters */
static void add_stalls(json_t *info)
{
	const char *term = getenv("TERM");
	char *text = stalls_line(render_find(info,
					"ferry.demand-latency-us.buckets"));

	if (text && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") &&
	    setlocale(LC_CTYPE, "") && !strcmp(nl_langinfo(CODESET), "UTF-8"))
		json_object_set_new(info, "stalls", json_string(text));
	free(text);
}

/* Return: text for free() */
static char *info_text(const struct follow *f, const char *template)
{
	double total = json_number_value(render_find(f->info, "ram.total"));
	double left = json_number_value(render_find(f->info, "ram.remaining"));
	json_t *copy = json_deep_copy(f->info);
	char *text;

	json_object_set_new(copy, "name", json_string(cli_label(f->o)));
	json_object_set_new(copy, "uri", json_string(f->o->uri));
	if (total > 0)
		json_object_set_new(copy, "percent",
				    json_real(100 * (total - left) / total));
	/* A single vCPU has the same figures as all together */
	if (json_array_size(render_find(copy, "ferry.vcpus")) < 2)
		json_object_del(json_object_get(copy, "ferry"), "vcpus");
	add_stalls(copy);
	text = cli_render(template, copy);
	json_decref(copy);
	return text;
}

static void show_progress(struct follow *f)
{
	struct winsize ws = { 0 };
	int room = 80;
	char *text;

	if (!isatty(STDERR_FILENO))
		return;
	/* Some terminals wrap a line that fills the last column */
	if (!ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) && ws.ws_col > 1)
		room = ws.ws_col;
	text = info_text(f, progress_text);
	fprintf(stderr, "\r%.*s\033[K", room - 1, text);
	free(text);
	f->shown = true;
}

static void hide_progress(struct follow *f)
{
	if (f->shown)
		fputs("\r\033[K", stderr);
	f->shown = false;
}

/*
 * Has the migration ended, also for this command? A source that connects again
 * by itself is waited for; but an address given with --resume that does not
 * work is reported.
 */
static bool is_over(const struct follow *f)
{
	const struct status *s = status_of(f);

	return s->final &&
	       !(s->exit == CLI_PAUSED && !f->o->resume &&
		 json_is_true(render_find(f->info, "ferry.waiting.automatic")));
}

/*
 * How often the connection has been lost. A source that opens it again by itself
 * is paused for some 0.1 s, so a query may be too late to see that: but the
 * source counts the connections that replaced a lost one.
 */
static json_int_t times_lost(const struct follow *f)
{
	return json_integer_value(render_find(f->info, "ferry.recoveries")) +
	       (status_of(f)->exit == CLI_PAUSED);
}

/*
 * Report each loss once, unless it ends this command: then the result says so.
 * With --resume it does in any case, and the count began before this command.
 */
static void show_lost(struct follow *f)
{
	const json_int_t lost = times_lost(f);
	const char *why = render_text(f->info, "error-desc");

	if (f->o->resume || lost <= f->reported ||
	    (status_of(f)->exit == CLI_PAUSED && is_over(f)))
		return;
	f->reported = lost;
	hide_progress(f);
	log_line("%s: the connection was lost after the hand-over%s%s%s; it is "
		 "opened again: `ferry status %s` says what it waits for. "
		 "Until then end neither machine", cli_label(f->o),
		 *why ? " (" : "", why, *why ? ")" : "", cli_label(f->o));
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
	if (f->cancelled || !status_of(f)->early) {
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

/* Return: 0, -EINTR to end the program, -ECONNRESET, -ESHUTDOWN, -EPROTO */
static int wait_for_change(struct follow *f, struct error *err)
{
	json_t *event, *status = NULL;
	int rc, i;

	for (i = 0; i < EVENTS_PER_QUERY && !status; i++) {
		rc = qmp_next_event(f->q, POLL_MS, &event, err);
		if (rc == -EINTR)
			return interrupted(f);
		if (rc)
			return rc == -ETIMEDOUT ? 0 : rc;
		/* Note it: the source may end before another query */
		status = render_find(event, "data.status");
		if (status && render_is(event, "event", "MIGRATION"))
			json_object_set(f->info, "status", status);
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
		show_lost(f);
		if (is_over(f))
			return 0;
		show_progress(f);
		rc = wait_for_change(f, err);
	} while (!rc);

	if ((rc != -ECONNRESET && rc != -ESHUTDOWN) || !status_of(f)->final)
		return rc;
	error_clear(err);
	return 0;
}

/*
 * One command, so that one that is refused changes nothing. The parameters are
 * for this migration only: others keep their values.
 */
static int send_migrate(struct follow *f, struct error *err)
{
	json_t *args = cli_members(f->o, CLI_QMP, err);

	if (json_object_set_new(args, "ferry-parameters",
				cli_members(f->o, CLI_PARAMETER, err))) {
		json_decref(args);
		return -err->code;
	}
	return qmp_execute(f->q, "migrate", args, NULL, err);
}

/* Return: 0 with the result in f->info, -EINTR after Ctrl-C, -errno */
static int migrate(struct follow *f, struct error *err)
{
	int rc = send_migrate(f, err);

	if (!rc && f->o->detach && f->o->json)
		return query(f, err);
	if (rc || f->o->detach)
		return rc;
	f->signals = cli_signals();
	qmp_watch(f->q, f->signals);
	rc = follow_to_end(f, err);
	hide_progress(f);
	return rc;
}

/* Print the result. Return: exit status */
static int report(const struct follow *f)
{
	const struct status *s = status_of(f);
	bool good = f->o->detach || s->exit == CLI_OK;
	char *text = info_text(f, f->o->detach ? started_text : s->text);

	if (f->o->json)
		cli_print_json(f->info);
	else if (good)
		fputs(text, stdout);
	if (!good)
		log_line("%s", text);
	free(text);
	return good ? CLI_OK : s->exit;
}

int cli_migrate(const struct options *o, struct qmp_client *q,
		struct error *err)
{
	struct follow f = { .o = o, .q = q, .info = json_object(),
			    .signals = -1 };
	int rc = migrate(&f, err);

	if (rc)
		rc = rc == -EINTR ? CLI_INTERRUPTED : CLI_FAILED;
	else
		rc = report(&f);
	json_decref(f.info);
	return rc;
}
