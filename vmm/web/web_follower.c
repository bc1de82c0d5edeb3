// SPDX-License-Identifier: MIT
/*
 * web_follower.c - A thread that follows one machine over QMP
 *
 * Ownership: the thread uses the client and @last; the main thread reads
 * nothing of the follower but @lock's members and @muted. All reports are
 * posts to the main loop, which makes them in order; follower_free() posts the
 * release of the follower as the last one.
 */

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "vmm/base/loop.h"
#include "vmm/base/thread.h"
#include "vmm/client/qmp_client.h"
#include "web_follower.h"

#define VIEWED_MS	150	/* between two queries while a page is open */
#define UNVIEWED_MS	1000
#define EVENTS_AT_ONCE	256	/* before the state is queried again */
#define MAP_CELLS	2048	/* of the overview of RAM */

/* What is queried, in this order */
enum { Q_MACHINE, Q_MIGRATION, Q_PAGES, QUERIES };

static const struct {
	const char *what, *command;
} queries[QUERIES] = {
	[Q_MACHINE]	= { "machine", "query-status" },
	[Q_MIGRATION]	= { "migration", "query-migrate" },
	[Q_PAGES]	= { "pages", "query-ferry-pages" },
};

/* A command that waits for the thread, then its answer for the main thread */
struct job {
	STAILQ_ENTRY(job) link;
	const char *command;
	json_t *args, *ret;
	int ms;
	struct error err;
	follower_done *done;
	void *ctx;
};

/**
 * struct web_follower - See above
 * @loop:	main thread's loop
 * @events:	where reports go
 * @control:	path
 * @thread:	the thread
 * @wake:	eventfd: a job waits, or the thread shall end
 * @muted:	the main thread wants no reports; only it uses this
 * @stop:	the thread shall end
 * @viewed, @whole: as in follower_watch()
 * @lock:	protects @client, @jobs and @over
 * @client:	the connection, while there is one
 * @jobs:	commands that have not begun
 * @over:	the thread takes no more of them
 * @last:	what was reported last, by query, without times that pass
 * @cursor:	of the last map of pages
 * @no_pages:	the machine does not know query-ferry-pages
 */
struct web_follower {
	struct loop *loop;
	struct follower_events events;
	char *control;
	pthread_t thread;
	int wake;
	bool muted;
	_Atomic bool stop, viewed, whole;
	pthread_mutex_t lock;
	struct qmp_client *client;
	STAILQ_HEAD(job_queue, job) jobs;
	bool over;

	json_t *last[QUERIES];
	json_int_t cursor;
	bool no_pages;
};

/* A report on its way to the main thread; @what NULL: the follower ended */
struct report {
	struct web_follower *f;
	const char *what;
	json_t *value;
	struct error why;
};

static void report_arrived(void *arg)
{
	struct report *r = arg;
	const struct follower_events *e = &r->f->events;

	if (r->f->muted)
		json_decref(r->value);
	else if (r->what)
		e->changed(e->ctx, r->what, r->value);
	else
		e->ended(e->ctx, &r->why);
	free(r);
}

/* @value: taken over */
static void report_send(struct web_follower *f, const char *what,
			json_t *value, const struct error *why)
{
	struct report *r = calloc(1, sizeof(*r));

	if (r) {
		*r = (struct report){ .f = f, .what = what, .value = value };
		if (why)
			r->why = *why;
		if (!loop_post(f->loop, report_arrived, r))
			return;
	}
	json_decref(value);
	free(r);
}

static void job_answered(void *arg)
{
	struct job *j = arg;

	j->done(j->ctx, j->ret, &j->err);
	json_decref(j->ret);
	free(j);
}

static void job_finish(struct web_follower *f, struct job *j)
{
	/* Memory ran out: the answer is lost, and so is this connection */
	if (loop_post(f->loop, job_answered, j))
		f->stop = true;
}

static struct job *job_take(struct web_follower *f)
{
	struct job *j;

	pthread_mutex_lock(&f->lock);
	j = STAILQ_FIRST(&f->jobs);
	if (j)
		STAILQ_REMOVE_HEAD(&f->jobs, link);
	pthread_mutex_unlock(&f->lock);
	return j;
}

/* Return: 0, or -errno if the connection is lost */
static int run_jobs(struct web_follower *f, struct qmp_client *q)
{
	struct job *j;
	int rc = 0;

	while (!rc && (j = job_take(f))) {
		qmp_timeout(q, j->ms);
		rc = qmp_execute(q, j->command, j->args, &j->ret, &j->err);
		job_finish(f, j);
		if (rc == -EREMOTEIO || rc == -ENOSYS)
			rc = 0;
	}
	qmp_timeout(q, FOLLOWER_TIMEOUT_MS);
	return rc;
}

/*
 * Times that pass while nothing happens are no change. A running migration
 * changes anyway; one that waits would be reported several times a second.
 * Return: whether times that metrics have were dropped
 */
static bool drop_clocks(json_t *m)
{
	const char *status = json_string_value(json_object_get(m, "status"));
	json_t *ferry = json_object_get(m, "ferry");

	json_object_del(json_object_get(ferry, "waiting"), "ms");
	if (!status || strcmp(status, "postcopy-paused"))
		return false;
	json_object_del(m, "total-time");
	json_object_del(json_object_get(m, "ram"), "mbps");
	json_object_del(ferry, "total-ms");
	json_object_del(ferry, "stage-ms");
	return true;
}

static json_t *pages_args(const struct web_follower *f)
{
	json_t *args = json_pack("{s:i}", "cells", MAP_CELLS);

	if (f->cursor)
		json_object_set_new(args, "cursor", json_integer(f->cursor));
	return args;
}

/* A map without runs says that nothing has changed. Takes @value over */
static void report_pages(struct web_follower *f, json_t *value)
{
	const char *runs = json_string_value(json_object_get(value, "runs"));
	json_int_t cursor = json_integer_value(json_object_get(value,
							       "cursor"));

	if (runs && (*runs || !f->cursor)) {
		f->cursor = cursor;
		report_send(f, queries[Q_PAGES].what, value, NULL);
	} else {
		json_decref(value);
	}
}

/* Report an answer if it differs from the last one. Takes @value over */
static void report_changed(struct web_follower *f, unsigned i, json_t *value)
{
	bool timeless = false;
	json_t *state;

	if (i == Q_MIGRATION)	/* its values are those of other members */
		json_object_del(value, "libvirt");
	state = json_deep_copy(value);
	if (i == Q_MIGRATION)
		timeless = drop_clocks(state);
	if (!json_equal(state, f->last[i])) {
		json_decref(f->last[i]);
		f->last[i] = state;
		report_send(f, queries[i].what, value, NULL);
		return;
	}
	json_decref(state);
	if (timeless)
		report_send(f, "times", value, NULL);
	else
		json_decref(value);
}

/* Return: 0, or -errno if the connection is lost */
static int query(struct web_follower *f, struct qmp_client *q, unsigned i,
		 struct error *err)
{
	json_t *value;
	int rc;

	if (i == Q_PAGES && f->no_pages)
		return 0;
	rc = qmp_execute(q, queries[i].command,
			 i == Q_PAGES ? pages_args(f) : NULL, &value, err);
	if (rc == -ENOSYS || rc == -EREMOTEIO) {
		/* No guest has arrived yet, or an older ferry */
		f->no_pages = rc == -ENOSYS;
		f->cursor = 0;
		error_clear(err);
		return 0;
	}
	if (rc)
		return rc;
	if (i == Q_PAGES)
		report_pages(f, value);
	else
		report_changed(f, i, value);
	return 0;
}

static int query_all(struct web_follower *f, struct qmp_client *q,
		     struct error *err)
{
	int rc = 0;

	if (atomic_exchange(&f->whole, false)) {
		f->cursor = 0;
		for (unsigned i = 0; i < QUERIES; i++) {
			json_decref(f->last[i]);
			f->last[i] = NULL;
		}
	}
	for (unsigned i = 0; i < QUERIES && !rc; i++)
		rc = query(f, q, i, err);
	return rc;
}

static void drain_wake(struct web_follower *f)
{
	uint64_t n;

	if (read(f->wake, &n, sizeof(n)) < 0)
		return;
}

/* Wait for events until the next query. Return: 0, or -errno: lost */
static int take_events(struct web_follower *f, struct qmp_client *q,
		       struct error *err)
{
	int wait = f->viewed ? VIEWED_MS : UNVIEWED_MS, rc = 0;
	json_t *event;

	for (unsigned i = 0; i < EVENTS_AT_ONCE && !rc; i++) {
		rc = qmp_next_event(q, i ? 0 : wait, &event, err);
		if (!rc)
			report_send(f, "event", event, NULL);
	}
	if (rc == -EINTR)
		drain_wake(f);
	return rc == -ETIMEDOUT || rc == -EINTR ? 0 : rc;
}

/* Return: 0, or -errno if the connection is lost */
static int find_console(struct web_follower *f, struct qmp_client *q,
			struct error *err)
{
	const char *name = NULL;
	json_t *list;
	int rc = qmp_execute(q, "query-chardev", NULL, &list, err);

	if (rc == -EREMOTEIO || rc == -ENOSYS) {
		error_clear(err);
		return 0;
	}
	if (!rc && !json_unpack(list, "[{s:s}]", "filename", &name) &&
	    !strncmp(name, "unix:", 5))
		report_send(f, "console", json_string(name + 5), NULL);
	json_decref(list);
	return rc;
}

/* For follower_free() */
static void set_client(struct web_follower *f, struct qmp_client *q)
{
	pthread_mutex_lock(&f->lock);
	f->client = q;
	pthread_mutex_unlock(&f->lock);
}

static void follow(struct web_follower *f, struct error *err)
{
	struct qmp_client *q = qmp_open(NULL, f->control, FOLLOWER_TIMEOUT_MS,
					err);
	int rc = q ? 0 : -err->code;

	set_client(f, q);
	if (!rc) {
		qmp_watch(q, f->wake);
		rc = find_console(f, q, err);
	}
	while (!rc && !f->stop) {
		rc = query_all(f, q, err);
		if (!rc)
			rc = run_jobs(f, q);
		if (!rc)
			rc = take_events(f, q, err);
	}
	set_client(f, NULL);
	qmp_close(q);
}

/* Commands that the thread has not run fail */
static void refuse_jobs(struct web_follower *f)
{
	struct job *j;

	pthread_mutex_lock(&f->lock);
	f->over = true;
	pthread_mutex_unlock(&f->lock);
	while ((j = job_take(f))) {
		json_decref(j->args);
		error_set(&j->err, ECONNRESET, "the machine has ended");
		job_finish(f, j);
	}
}

static void *follower_main(void *arg)
{
	struct web_follower *f = arg;
	struct error err = { 0 };

	follow(f, &err);
	refuse_jobs(f);
	report_send(f, NULL, NULL, &err);
	return NULL;
}

static void follower_release(void *arg)
{
	struct web_follower *f = arg;

	for (unsigned i = 0; i < QUERIES; i++)
		json_decref(f->last[i]);
	pthread_mutex_destroy(&f->lock);
	if (f->wake >= 0)
		close(f->wake);
	free(f->control);
	free(f);
}

struct web_follower *follower_new(struct loop *loop, const char *control,
				  const struct follower_events *events,
				  struct error *err)
{
	struct web_follower *f = calloc(1, sizeof(*f));
	int rc = -ENOMEM;

	if (!f) {
		error_set(err, ENOMEM, "out of memory for a machine");
		return NULL;
	}
	f->loop = loop;
	f->events = *events;
	f->control = strdup(control);
	f->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&f->lock, NULL);
	STAILQ_INIT(&f->jobs);
	if (f->control && f->wake >= 0)
		rc = thread_start(&f->thread, "follower", follower_main, f);
	if (!rc)
		return f;
	error_set(err, -rc, "cannot follow %s: %s", control,
		  strerrordesc_np(-rc));
	follower_release(f);
	return NULL;
}

static void wake_thread(struct web_follower *f)
{
	const uint64_t one = 1;

	if (write(f->wake, &one, sizeof(one)) < 0)
		return;		/* full: it is awake already */
}

void follower_execute(struct web_follower *f, const char *command,
		      json_t *args, int ms, follower_done *done, void *ctx)
{
	struct job *j = calloc(1, sizeof(*j));
	struct error err = { 0 };
	bool over;

	if (!j) {
		json_decref(args);
		error_set(&err, ENOMEM, "out of memory for the command");
		done(ctx, NULL, &err);
		return;
	}
	*j = (struct job){ .command = command, .args = args, .ms = ms,
			   .done = done, .ctx = ctx };
	pthread_mutex_lock(&f->lock);
	over = f->over;
	if (!over)
		STAILQ_INSERT_TAIL(&f->jobs, j, link);
	pthread_mutex_unlock(&f->lock);
	if (over) {
		json_decref(args);
		error_set(&j->err, ECONNRESET, "the machine has ended");
		job_answered(j);
		return;
	}
	wake_thread(f);
}

void follower_watch(struct web_follower *f, bool viewed, bool whole)
{
	const bool wake = whole || (viewed && !f->viewed);

	f->viewed = viewed;
	if (whole)
		f->whole = true;
	if (wake)
		wake_thread(f);
}

void follower_free(struct web_follower *f)
{
	if (!f)
		return;
	f->muted = true;
	f->stop = true;
	wake_thread(f);
	pthread_mutex_lock(&f->lock);
	if (f->client)
		qmp_cut(f->client);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	/* After the reports and answers that are posted already */
	loop_post(f->loop, follower_release, f);
}
