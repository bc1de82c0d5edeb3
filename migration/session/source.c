// SPDX-License-Identifier: MIT
/*
 * source.c - The side that a guest leaves
 *
 * Walks through the stages in a thread of its own. Up to source_commit() any
 * failure brings the guest back to life here; behind it the guest's RAM does
 * not change any more and its vCPUs never run (invariant 4).
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "source.h"
#include "stages.h"
#include "vmm/base/log.h"

#define GOODBYE_MS	500	/* for a last word that need not arrive */

static void show_lost(struct source *s)
{
	machine_set_status(s->m, (struct run_status){ RUN_FINISH_MIGRATE,
						      WHY_POSTCOPY_FAILED });
	job_set(s->job, JOB_PAUSED, NULL);
}

/*
 * A connection was lost, or the peer makes no sense. Return: true if this is
 * the first one to tell of behind the point of no return
 */
static bool cut(struct source *s, const struct error *why, bool by_demand)
{
	bool first;

	pthread_mutex_lock(&s->lock);
	s->broken |= !s->committed;
	first = s->committed && !s->failed && !(by_demand && s->committing);
	s->failed |= first;
	if (first)
		job_blame(s->job, why);
	pthread_mutex_unlock(&s->lock);

	/* The other threads' waits end with their connections */
	s->pages.stop = true;
	source_disconnect(s);
	return first;
}

static void fail(struct source *s, const struct error *why, bool by_demand)
{
	if (s->ending || !cut(s, why, by_demand))
		return;
	log_line("migration paused: %s; the guest's memory is kept here",
		 why->text);
	show_lost(s);
}

void source_lost(struct source *s, const struct error *why)
{
	fail(s, why, true);
}

static void end_demand(struct source *s)
{
	s->ending = true;
	s->pages.stop = true;
	channel_shut(&s->demand);
	demand_end(&s->answers);
}

/*
 * Back as it was: every failure before the point of no return ends here. The
 * guest first, then the peer, which may not be listening.
 */
static void come_home(struct source *s, struct error *why)
{
	push_end(&s->push);
	machine_set_pager(s->m, NULL);
	if (s->before.state == RUN_RUNNING)
		s->before.reason = WHY_MIGRATION_CANCELED;
	if (s->paused)
		machine_thaw(s->m, &s->before);
	/* Said before any connection ends: it leaves the peer no doubt */
	if (s->cancelled) {
		error_clear(why);
		error_set(why, ECANCELED, "cancelled");
	}
	channel_deadline(&s->main, GOODBYE_MS);
	channel_refuse(&s->main, why);
	end_demand(s);
	source_disconnect(s);
	s->host->side = "none";
	if (!s->cancelled)
		log_line("migration failed: %s; the guest goes on here",
			 why->text);
	job_set(s->job, s->cancelled ? JOB_CANCELLED : JOB_FAILED, why);
}

static void complete(struct source *s)
{
	end_demand(s);
	source_disconnect(s);
	machine_set_status(s->m, (struct run_status){ RUN_POSTMIGRATE,
						      WHY_MIGRATED });
	job_set(s->job, JOB_COMPLETED, NULL);
}

static void *source_main(void *arg)
{
	struct source *s = arg;
	struct error err = { 0 };
	int rc = 0;

	for (const struct stage *st = stages; st->name && !rc; st++) {
		job_stage(s->job, st->name);
		if (s->cancelled)
			rc = error_set(&err, ECANCELED, "cancelled");
		else if (st->source)
			rc = st->source(s, &err);
	}
	if (!rc) {
		complete(s);
	} else if (s->committed) {
		fail(s, &err, false);
		/* The demand thread may have said so before, and this thread
		 * something else after it
		 */
		if (s->failed)
			show_lost(s);
	} else {
		come_home(s, &err);
	}
	return NULL;
}

/*
 * Poison made on purpose during a migration: not on what has left, and not
 * while the lists are sent. The page is kept from both sending threads until
 * that is over, so that they meet it either whole or lost.
 */
static int source_pager(void *ctx, uint64_t offset, bool simulate,
			struct error *err)
{
	struct source *s = ctx;
	size_t page = (size_t)(offset / WIRE_PAGE);

	(void)simulate;
	if (!s->paused)
		return 1;
	if (!s->committed)
		return error_set(err, EAGAIN,
			"the guest is being handed over just now: try again");
	if (ledger_hold(&s->pages.ledger, page))
		return 1;
	return error_set(err, EALREADY,
		"0x%llx was already handed over to the destination: poison it there",
		(unsigned long long)ram_gpa(&s->m->ram, offset));
}

static void source_pager_done(void *ctx, uint64_t offset)
{
	struct source *s = ctx;

	(void)offset;
	ledger_unhold(&s->pages.ledger);
}

/* A page that is to be sent can't be read: invariant 3 */
static void source_note_poison(void *ctx, uint64_t gpa)
{
	struct source *s = ctx;
	struct memory_failure f = { .gpa = gpa, .size = WIRE_PAGE,
				    .action = MF_NOTED };
	struct poison p = { .gpa = gpa, .size = WIRE_PAGE };
	int rc = poison_add(&s->m->poison, &p);

	if (rc > 0)
		machine_failure(s->m, &f);
	else if (rc < 0)
		log_line("out of memory for the poison list");
}

static void source_push_lost(void *ctx, const struct error *why)
{
	source_lost(ctx, why);
}

static void source_demand_lost(void *ctx, const struct error *why)
{
	struct source *s = ctx;

	/* At the end the main connection tells how it went */
	if (s->finishing)
		channel_shut(&s->demand);
	else
		source_lost(s, why);
}

struct source *source_new(struct host *h, struct job *job,
			  const struct uri *uri, struct error *err)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s) {
		error_set(err, ENOMEM, "out of memory for a migration");
		return NULL;
	}
	s->host = h;
	s->m = h->machine;
	s->job = job;
	s->uri = *uri;
	s->main.fd = s->demand.fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	push_init(&s->push, &s->pages, source_push_lost, s);
	for (unsigned i = 0; i < WIRE_PUSH_MAX; i++) {
		s->pushing[i].fd = -1;
		s->push.pusher[i].c = &s->pushing[i];
	}
	if (page_source_init(&s->pages, &s->m->ram, &job->stats,
			     source_note_poison, s) ||
	    page_source_batch(&s->pages, &s->batch) ||
	    demand_prepare(&s->answers, &s->pages, &s->demand,
			   source_demand_lost, s, err) ||
	    getrandom(s->id, sizeof(s->id), 0) != sizeof(s->id)) {
		error_set(err, ENOMEM, "out of memory for a migration");
		source_free(s);
		return NULL;
	}
	return s;
}

int source_start(struct source *s, struct error *err)
{
	struct pager p = { .ctx = s, .poison = source_pager,
			   .done = source_pager_done };
	int rc;

	job_begin(s->job, true);
	job_name(s->job, s->id, &s->uri);
	job_machine(s->job, s->m);
	s->host->side = "source";
	machine_set_pager(s->m, &p);
	rc = pthread_create(&s->thread, NULL, source_main, s);
	if (!rc) {
		s->started = true;
		pthread_setname_np(s->thread, "migration");
		return 0;
	}
	machine_set_pager(s->m, NULL);
	error_set(err, rc, "cannot start the migration thread: %s",
		  strerrordesc_np(rc));
	job_set(s->job, JOB_FAILED, err);
	return -rc;
}

int source_cancel(struct source *s, struct error *err)
{
	bool late;

	pthread_mutex_lock(&s->lock);
	late = s->committed;
	s->cancelled |= !late;
	pthread_mutex_unlock(&s->lock);
	if (late)
		return error_set(err, EBUSY,
			"the guest was handed over already: a postcopy migration can't be cancelled");
	s->pages.stop = true;
	/* What it waits to hear never comes; saying goodbye still works */
	channel_shut_in(&s->main);
	return 0;
}

void source_disconnect(struct source *s)
{
	channel_shut(&s->main);
	channel_shut(&s->demand);
	for (unsigned i = 0; i < s->push.n; i++)
		channel_shut(&s->pushing[i]);
}

void source_free(struct source *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->cancelled |= !s->committed;
	pthread_mutex_unlock(&s->lock);
	s->ending = s->committed;
	s->pages.stop = true;
	source_disconnect(s);
	if (s->started)
		pthread_join(s->thread, NULL);
	push_end(&s->push);
	end_demand(s);
	channel_close(&s->main);
	channel_close(&s->demand);
	for (unsigned i = 0; i < s->push.n; i++)
		channel_close(&s->pushing[i]);
	push_fini(&s->push);
	page_source_fini(&s->pages);
	batch_fini(&s->batch);
	free(s->holes);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
