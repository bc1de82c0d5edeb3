// SPDX-License-Identifier: MIT
/* cli_watch.c - ferry status, once or as it changes, and ferry events */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli_common.h"

/* Poisoned ranges that status lists; more are only counted, unless --json */
#define POISON_SHOWN 16
/* status --watch: time between two queries, ms */
#define WATCH_MS 200

/* Templates: render.h */
static const char status_text[] =
	"{name}: {status} ({libvirt.state}, {libvirt.reason})\n"
	"[  memory:    {memory/M} MiB\n]"
	"[  vCPUs:     {cpus!}\n]"
	"  poisoned:  {poisoned-bytes/K} KiB\n"
	"<poisoned:             {address/x}, {size/K} KiB"
	"[{delivered!} (the guest received a machine check)]\n>"
	"[             and {unlisted} more ranges\n]"
	"[  migration: {migration.ferry.side}, {migration.status}"
	"[, stage {migration.ferry.stage}]"
	"[, {migration.libvirt.memory_processed/M} of "
	"{migration.ram.total!/M} MiB]\n]"
	"[  passes:    {migration.ferry.precopy.passes} sent, "
	"{migration.ferry.precopy.dirty} pages dirty, "
	"{migration.expected-downtime} ms to send them\n]"
	"[             {migration.error-desc}\n]"
	"[  waits for: {migration.ferry.waiting.for}"
	"[, for {migration.ferry.waiting.ms} ms]\n]"
	"[  remedy:    {migration.ferry.waiting.remedy}\n]";

static const char event_text[] =
	"{time} {event}[ {data.status}][ ({data.libvirt.state}, "
	"{data.libvirt.reason})][ {data.address/x}, {data.size/K} KiB:]"
	"[ {data.recipient}][ {data.action}]"
	"[, and {data.repeats!} more accesses][ {data.reason}]"
	"[ {data.result.status}][ {data.count}][: {data.error}]\n";

/* Shorten the list of poisoned ranges: "unlisted" is how many are left out */
static void shorten_poisoned(json_t *st)
{
	json_t *list = render_find(st, "poisoned");
	json_t *rest = render_find(st, "poisoned-unlisted");
	size_t n = json_array_size(list);

	if (n <= POISON_SHOWN)
		return;
	json_object_set_new(st, "unlisted", json_integer((json_int_t)n -
		POISON_SHOWN + json_integer_value(rest)));
	while (n > POISON_SHOWN)
		json_array_remove(list, --n);
}

/*
 * How long it waits is no news, several times a second: only where the new
 * text replaces the last one
 */
static void drop_clock(json_t *st)
{
	if (!isatty(STDOUT_FILENO))
		json_object_del(render_find(st, "migration.ferry.waiting"),
				"ms");
}

/* Return: text for free(), or NULL */
static char *status_of(const struct options *o, struct qmp_client *q,
		       struct error *err)
{
	char *text;
	json_t *st;

	if (cli_query(q, &st, err))
		return NULL;
	if (o->watch)
		drop_clock(st);
	if (o->json) {
		text = cli_json(st);
	} else {
		shorten_poisoned(st);
		text = cli_render(status_text, st);
	}
	json_decref(st);
	return text;
}

/* On a terminal, in place of what is @shown. Takes over @text */
static void show_status(char **shown, char *text)
{
	if (*shown && isatty(STDOUT_FILENO)) {
		for (const char *c = *shown; *c; c++)
			if (*c == '\n')
				fputs("\033[A\033[2K", stdout);
	}
	fputs(text, stdout);
	free(*shown);
	*shown = text;
}

/* Return: 0 when it is time for another query, else as qmp_next_event() */
static int wait_for_news(struct qmp_client *q, struct error *err)
{
	json_t *event;
	int rc = qmp_next_event(q, WATCH_MS, &event, err);

	/* Only one query for a burst of events */
	for (; !rc && !render_is(event, "event", "SHUTDOWN");
	     rc = qmp_next_event(q, 0, &event, err))
		json_decref(event);
	if (!rc)
		json_decref(event);
	return rc == -ETIMEDOUT ? 0 : rc;
}

int cli_status(const struct options *o, struct qmp_client *q,
	       struct error *err)
{
	char *shown = NULL, *text;
	int rc = 0;

	if (o->watch)
		qmp_watch(q, cli_signals());
	do {
		text = status_of(o, q, err);
		if (text && (!shown || strcmp(text, shown)))
			show_status(&shown, text);
		else
			free(text);
		if (text && !cli_flush() && o->watch)
			rc = wait_for_news(q, err);
	} while (o->watch && !rc && !err->code && !cli_flush());
	free(shown);
	if (err->code == ESHUTDOWN && o->watch)
		error_clear(err);
	return err->code ? CLI_FAILED : CLI_OK;
}

static void print_event(json_t *event)
{
	time_t seconds = (time_t)json_integer_value(
		render_find(event, "timestamp.seconds"));
	int us = (int)json_integer_value(
		render_find(event, "timestamp.microseconds"));
	char time[16] = "";
	struct tm tm;

	/* Fails for a year that an int can't hold */
	if (localtime_r(&seconds, &tm))
		strftime(time, sizeof(time), "%T", &tm);
	json_object_set_new(event, "time", json_sprintf("%s.%06d", time, us));
	render(stdout, event_text, event);
}

/* Ends with the machine, with --count, at Ctrl-C, or with the output */
int cli_events(const struct options *o, struct qmp_client *q,
	       struct error *err)
{
	json_t *event;
	int rc;

	qmp_watch(q, cli_signals());
	for (uint64_t n = 0; !o->count || n < o->count; n++) {
		rc = qmp_next_event(q, -1, &event, err);
		if (rc == -ESHUTDOWN && !o->count)
			error_clear(err);
		if (rc)
			return err->code ? CLI_FAILED : CLI_OK;
		if (o->json)
			cli_print_json(event);
		else
			print_event(event);
		json_decref(event);
		if (cli_flush())
			return CLI_FAILED;
	}
	return CLI_OK;
}
