// SPDX-License-Identifier: MIT
/*
 * source.c - The side that a guest leaves
 *
 * The session thread walks through the stages (stages.c). Before the point of
 * no return (source_stages.c:point_of_no_return()) any failure ends with the
 * guest running here; after it the guest's RAM does not change and its vCPUs
 * never run here (invariant 4). phase.c decides which of the two applies.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "source.h"
#include "stages.h"
#include "vmm/base/log.h"

#define GOODBYE_MS	500	/* for a REFUSE that need not arrive */

static struct source *source_of(struct session *se)
{
	return (struct source *)((char *)se - offsetof(struct source, se));
}

static void resume_guest(struct source *s)
{
	machine_set_ram_hook(s->m, NULL);
	if (!s->held)
		return;
	if (s->before.state == RUN_RUNNING)
		s->before.reason = WHY_MIGRATION_CANCELED;
	machine_thaw(s->m, &s->before);
	s->se.progress->resumed = now_ns();
	s->held = false;
}

/* A bare close would leave the destination unsure whether COMMIT was sent */
static void refuse(struct source *s)
{
	struct error why = progress_why(s->se.progress);
	struct channel *main = &s->se.link.main;

	if (channel_is_open(main)) {
		channel_set_end(main, channel_now_ns() +
				      GOODBYE_MS * 1000000ull);
		channel_refuse(main, &why);
	}
	link_shut(&s->se.link);
}

/* Nothing is sent or requested any more */
static void close_link(struct source *s)
{
	s->pages.stop = true;
	link_shut(&s->se.link);
	demand_end(&s->answers);
	push_end(&s->push);
	link_close(&s->se.link);
}

static void source_perform(struct session *se, unsigned actions)
{
	struct source *s = source_of(se);

	/* Push threads that wait for the bandwidth limit end, too */
	if (actions & (PHASE_HANG_UP | PHASE_SHUT))
		s->pages.stop = true;
	if (actions & PHASE_HANG_UP)
		link_hang_up(&se->link, GOODBYE_MS);
	if (actions & PHASE_SHUT)
		link_shut(&se->link);
	/* The guest first, then the peer, which may not be reading */
	if (actions & PHASE_RESUME)
		resume_guest(s);
	if (actions & PHASE_REFUSE)
		refuse(s);
	if (actions & PHASE_CLOSE)
		close_link(s);
}

static enum progress_status show_lost(struct source *s)
{
	struct error why = progress_why(s->se.progress);

	log_line("migration paused: %s; the guest's memory is kept here",
		 why.text);
	machine_set_status(s->m, (struct run_status){ RUN_FINISH_MIGRATE,
						      WHY_POSTCOPY_FAILED });
	return PROGRESS_PAUSED;
}

static enum progress_status show_failed(struct source *s)
{
	struct error why = progress_why(s->se.progress);

	log_line("migration failed: %s; the guest goes on here", why.text);
	s->se.env->set_side(s->se.env->ctx, "none");
	return PROGRESS_FAILED;
}

static enum progress_status source_show(struct session *se, unsigned phase)
{
	struct source *s = source_of(se);

	switch (phase) {
	case SOURCE_SETUP:
		return PROGRESS_SETUP;
	case SOURCE_POSTCOPY:
	case SOURCE_FINISHING:
		if (!se->progress->run)
			se->progress->run = now_ns();
		machine_set_status(s->m, (struct run_status){
			RUN_FINISH_MIGRATE, WHY_POSTCOPY });
		return PROGRESS_POSTCOPY;
	case SOURCE_COMPLETED:
		machine_set_status(s->m, (struct run_status){
			RUN_POSTMIGRATE, WHY_MIGRATED });
		return PROGRESS_COMPLETED;
	case SOURCE_DOUBT:
	case SOURCE_LOST:
		return show_lost(s);
	case SOURCE_FAILED:
		return show_failed(s);
	case SOURCE_CANCELLED:
		se->env->set_side(se->env->ctx, "none");
		return PROGRESS_CANCELLED;
	case SOURCE_ENDED:
		return progress_get(se->progress);
	default:
		return PROGRESS_DEVICE;
	}
}

static const struct session_ops source_ops = {
	.step		= source_step,
	.perform	= source_perform,
	.show		= source_show,
};

static void source_push_lost(void *ctx, const struct error *why)
{
	struct source *s = ctx;

	session_event(&s->se, EVENT_PUSHES_LOST, why);
}

static void source_demand_lost(void *ctx, const struct error *why)
{
	struct source *s = ctx;

	session_event(&s->se, EVENT_DEMAND_LOST, why);
}

/* A page that is to be sent can't be read: invariant 3 */
static void source_note_poison(void *ctx, uint64_t gpa)
{
	struct source *s = ctx;
	struct memory_failure f = { .gpa = gpa, .size = WIRE_PAGE,
				    .action = MF_NOTED };
	struct poison p = { .gpa = gpa, .size = WIRE_PAGE };
	int rc = poison_add(machine_poison(s->m), &p);

	if (rc > 0)
		machine_failure(s->m, &f);
	else if (rc < 0)
		log_line("out of memory for the poison list");
}

static void *source_main(void *arg)
{
	struct source *s = arg;
	struct error err = { 0 };
	int rc = 0;

	for (const struct stage *st = stages; st->name && !rc; st++) {
		progress_stage(s->se.progress, st->name);
		if (st->source)
			rc = st->source(s, &err);
	}
	if (rc)
		session_event(&s->se, phase_event_of(rc), &err);
	session_event(&s->se, EVENT_LEFT, NULL);
	return NULL;
}

/*
 * Poison made on purpose during a migration: not on what has left, and not
 * while the lists are sent. The page is kept from the sending threads until
 * that is over, so that they read it either whole or lost.
 */
static int source_hook(void *ctx, uint64_t offset, bool simulate,
		       struct error *err)
{
	struct source *s = ctx;
	size_t page = (size_t)(offset / WIRE_PAGE);
	unsigned phase = session_phase(&s->se);

	(void)simulate;
	if (phase == SOURCE_SETUP)
		return 1;
	if (!source_has_committed(phase))
		return error_set(err, EAGAIN,
			"the guest is being handed over just now: try again");
	if (ledger_hold(&s->pages.ledger, page))
		return 1;
	return error_set(err, EALREADY,
		"0x%llx was already handed over to the destination: poison it there",
		(unsigned long long)ram_gpa(machine_ram(s->m), offset));
}

static void source_hook_done(void *ctx, uint64_t offset)
{
	struct source *s = ctx;

	(void)offset;
	ledger_unhold(&s->pages.ledger);
}

struct source *source_new(struct machine *m, const struct uri *uri,
			  const struct session_env *env,
			  const struct session_limits *limits,
			  struct progress *progress, struct error *err)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s) {
		error_set(err, ENOMEM, "out of memory for a migration");
		return NULL;
	}
	session_init(&s->se, &source_ops, env, limits, progress);
	s->m = m;
	s->uri = *uri;
	s->connections = 1;
	push_init(&s->push, &s->pages, source_push_lost, s);
	if (!page_source_init(&s->pages, machine_ram(m), &progress->stats,
			      source_note_poison, s) &&
	    !page_source_batch(&s->pages, &s->batch) &&
	    getrandom(s->se.id, WIRE_ID, 0) == WIRE_ID &&
	    getrandom(s->se.secret, WIRE_SECRET, 0) == WIRE_SECRET &&
	    !demand_prepare(&s->answers, &s->pages, &s->se.link.demand,
			    source_demand_lost, s, err))
		return s;
	error_set(err, ENOMEM, "out of memory for a migration");
	source_free(s);
	return NULL;
}

int source_start(struct source *s, struct error *err)
{
	struct ram_hook p = { .ctx = s, .poison = source_hook,
			   .done = source_hook_done };
	struct progress *progress = s->se.progress;
	const struct ram *ram = machine_ram(s->m);
	int rc;

	progress_begin(progress, true);
	progress_name(progress, s->se.id, &s->uri);
	progress_machine(progress, ram->size, ram->page_size,
			 machine_config(s->m)->cpus);
	s->se.env->set_side(s->se.env->ctx, "source");
	machine_set_ram_hook(s->m, &p);
	link_begin(&s->se.link, 1, s->se.limits->dead_peer_ms);
	rc = pthread_create(&s->thread, NULL, source_main, s);
	if (!rc) {
		s->started = true;
		pthread_setname_np(s->thread, "migration");
		return 0;
	}
	error_set(err, rc, "cannot start the migration thread: %s",
		  strerrordesc_np(rc));
	session_event(&s->se, EVENT_FAILURE, err);
	session_event(&s->se, EVENT_LEFT, NULL);
	return -rc;
}

int source_cancel(struct source *s, struct error *err)
{
	struct error why = { 0 };

	error_set(&why, ECANCELED, "cancelled");
	if (!session_event(&s->se, EVENT_CANCEL, &why))
		return 0;
	return error_set(err, EBUSY,
		"the guest was handed over already: a postcopy migration can't be cancelled");
}

int source_pause(struct source *s, struct error *err)
{
	struct error why = { 0 };

	error_set(&why, ECANCELED, "migrate-pause has shut the connections");
	if (!session_event(&s->se, EVENT_PAUSE, &why))
		return 0;
	return error_set(err, EINVAL,
			 "only a migration in postcopy can be paused");
}

void source_free(struct source *s)
{
	struct error why = { 0 };

	if (!s)
		return;
	error_set(&why, ECANCELED, "cancelled");
	session_event(&s->se, EVENT_QUIT, &why);
	if (s->started)
		pthread_join(s->thread, NULL);
	close_link(s);
	session_fini(&s->se);
	push_fini(&s->push);
	batch_fini(&s->batch);
	page_source_fini(&s->pages);
	free(s->zero.at);
	free(s);
}
