// SPDX-License-Identifier: MIT
/*
 * source.c - The side that a guest leaves
 *
 * Before the point of no return (source_stages.c:point_of_no_return()) any
 * failure ends with the guest running here; after it the guest's RAM does not
 * change and its vCPUs never run here (invariant 4). phase.c decides which of
 * the two applies.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "source.h"
#include "source_connect.h"
#include "source_poison.h"
#include "source_precopy.h"
#include "source_thread.h"
#include "vmm/base/log.h"

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

static void refuse(struct source *s)
{
	s->refusal = progress_why(s->se.progress);
	session_refuse(&s->se, &s->refusal);
	link_shut(&s->se.link);
}

static void source_perform(struct session *se, unsigned actions)
{
	struct source *s = source_of(se);

	/* Push threads that wait for the bandwidth limit end, too */
	if (actions & (PHASE_HANG_UP | PHASE_SHUT))
		s->pages.stop = true;
	if (actions & PHASE_ENDED)
		s->gone = true;
	if (actions & PHASE_HANG_UP)
		link_hang_up(&se->link, SESSION_GOODBYE_MS);
	if (actions & PHASE_SHUT)
		link_shut(&se->link);
	/* The guest first, then the peer, which may not be reading */
	if (actions & PHASE_RESUME)
		resume_guest(s);
	if (actions & PHASE_REFUSE)
		refuse(s);
	if (actions & PHASE_CLOSE)
		source_close_link(s);
}

static const char *lost_remedy(const struct source *s, unsigned phase)
{
	const bool automatic = session_is_automatic(&s->se);

	if (phase == SOURCE_DOUBT)
		return automatic
			? "none, the source retries; if the destination is gone for good: "
			  "ferry resolve NAME --run-here"
			: "ferry migrate NAME URI --resume; if the destination is gone for good: "
			  "ferry resolve NAME --run-here";
	return automatic
		? "none, the source retries; for another address: "
		  "ferry migrate NAME URI --resume"
		: "ferry migrate NAME URI --resume";
}

static enum progress_status show_lost(struct source *s, unsigned phase)
{
	struct error why = progress_why(s->se.progress);

	/* An attempt that failed is not reported again and again */
	if (s->attempts <= 1 || s->se.manual)
		log_line("migration paused: %s; the guest's memory is kept here",
			 why.text);
	progress_wait(s->se.progress, "a connection to the destination",
		      lost_remedy(s, phase), session_is_automatic(&s->se));
	machine_set_status(s->m, (struct run_status){ RUN_FINISH_MIGRATE,
						      WHY_POSTCOPY_FAILED });
	return PROGRESS_PAUSED;
}

static enum progress_status show_failed(struct source *s)
{
	struct error why = progress_why(s->se.progress);

	log_line("migration failed: %s; the guest goes on here", why.text);
	progress_wait(s->se.progress, NULL, NULL, false);
	s->se.env->set_side(s->se.env->ctx, "none");
	return PROGRESS_FAILED;
}

/* COMPLETE has come, or ENDED, whose text is the session's error */
static enum progress_status show_completed(struct source *s)
{
	struct error why = progress_why(s->se.progress);

	if (s->gone)
		log_line("the migration is over: %s", why.text);
	progress_wait(s->se.progress, NULL, NULL, false);
	machine_set_status(s->m, (struct run_status){ RUN_POSTMIGRATE,
						      WHY_MIGRATED });
	return PROGRESS_COMPLETED;
}

static enum progress_status show_abandoned(struct source *s)
{
	log_line("the guest was given up here: its memory is not needed any more");
	progress_wait(s->se.progress, NULL, NULL, false);
	machine_set_status(s->m, (struct run_status){ RUN_POSTMIGRATE,
						      WHY_MIGRATED });
	return PROGRESS_FAILED;
}

static enum progress_status source_show(struct session *se, unsigned phase)
{
	struct source *s = source_of(se);

	switch (phase) {
	case SOURCE_SETUP:
		return s->passing ? PROGRESS_ACTIVE : PROGRESS_SETUP;
	case SOURCE_POSTCOPY:
	case SOURCE_FINISHING:
		if (!se->progress->run)
			se->progress->run = now_ns();
		progress_wait(se->progress, NULL, NULL, false);
		machine_set_status(s->m, (struct run_status){
			RUN_FINISH_MIGRATE, WHY_POSTCOPY });
		return PROGRESS_POSTCOPY;
	case SOURCE_COMPLETED:
		return show_completed(s);
	case SOURCE_DOUBT:
	case SOURCE_LOST:
		return s->asked ? PROGRESS_RECOVER_SETUP : show_lost(s, phase);
	case SOURCE_REDIAL:
	case SOURCE_REDIAL_DOUBT:
		return s->reported ? PROGRESS_RECOVER : PROGRESS_RECOVER_SETUP;
	case SOURCE_ABANDONED:
		return show_abandoned(s);
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

static void source_push_lost(void *ctx, bool last, const struct error *why)
{
	struct source *s = ctx;
	const unsigned event = phase_loss_of(last ? EVENT_PUSHES_LOST
					     : EVENT_PUSH_LOST, -why->code);

	if (event == EVENT_PUSH_LOST &&
	    source_is_sending(session_phase(&s->se)))
		log_line("a push connection was lost: %s; its pages are sent on another one",
			 why->text);
	session_event(&s->se, event, why);
}

static void source_push_ended(void *ctx)
{
	struct source *s = ctx;

	session_wake(&s->se);
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
	if (s->rebuilding)
		return error_set(err, EAGAIN,
			"the destination has not reported yet which pages it has: try again");
	if (ledger_hold(&s->pages.ledger, page))
		return 1;
	/* Unsure, and not sent again since */
	if (ledger_is_unsure(&s->pages.ledger, page) &&
	    ledger_next(&s->pages.ledger, page, page + 1) == page)
		return error_set(err, EAGAIN,
			"0x%llx was sent on a connection that was lost, so "
			"the destination may have it: poison it there, or try "
			"again when a new connection is open",
			(unsigned long long)ram_gpa(machine_ram(s->m), offset));
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
	s->unit = 1;
	push_init(&s->push, &s->pages, source_push_lost, source_push_ended, s);
	if (reporter_start(&s->reporter, source_report_poison, s, err)) {
		source_free(s);
		return NULL;
	}
	if (!page_source_init(&s->pages, machine_ram(m), &progress->stats,
			      source_page_lost, s) &&
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
	s->epoch = 1;
	link_begin(&s->se.link, s->epoch, s->se.limits->dead_peer_ms);
	rc = pthread_create(&s->thread, NULL, source_thread_main, s);
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

void source_start_postcopy(struct source *s)
{
	s->end_passes = true;
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

int source_resume(struct source *s, const struct uri *uri,
		  void (*accept)(void *ctx), void *ctx, struct error *err)
{
	struct session *se = &s->se;
	bool parked;

	if (session_keeps_tls(&s->uri, uri, err))
		return -err->code;
	pthread_mutex_lock(&se->lock);
	parked = source_is_parked(se->phase);
	if (parked) {
		if (accept)
			accept(ctx);
		s->uri = *uri;
		se->manual = false;
		s->asked = true;
	}
	pthread_mutex_unlock(&se->lock);
	if (parked) {
		progress_uri(se->progress, uri);
		/* At once: a client that asks next must not read that it is
		 * paused still. Before the session thread is woken: from when
		 * it has taken @asked until it shows the next phase,
		 * session_show() would show the pause
		 */
		session_show(se);
		session_notify(se);
		return 0;
	}
	if (source_is_redialling(session_phase(se)))
		return error_set(err, EBUSY,
			"a connection is being opened just now: migrate-pause ends that");
	return error_set(err, EINVAL,
		"only a migration that is postcopy-paused can be resumed");
}

int source_resolve(struct source *s, bool run_here, struct error *err)
{
	unsigned phase = session_phase(&s->se);
	struct error why = { 0 };

	error_set(&why, ECANCELED, run_here
		  ? "an operator has decided that the guest runs here"
		  : "an operator has given the guest up here");
	if (!session_event(&s->se, run_here ? EVENT_RUN_HERE : EVENT_GIVE_UP,
			   &why))
		return 0;
	if (run_here && (phase == SOURCE_LOST || phase == SOURCE_REDIAL))
		return error_set(err, EPERM,
			"the destination is known to run the guest: it must not run here");
	return error_set(err, EPERM,
		"nothing is to be resolved: the hand-over is not in doubt here");
}

bool source_is_refusing(struct source *s)
{
	return source_may_run(session_phase(&s->se)) && s->prepare_sent && !s->over;
}

bool source_waits(struct source *s, struct progress_wait *w)
{
	*w = (struct progress_wait){
		.what = "the destination to be told that the guest stays here",
		.remedy = "none, the source retries; if the destination can't be reached any more: "
			  "ferry resolve NAME --give-up there",
		.automatic = true, .since = s->refuses_since,
	};
	return w->since;
}

void source_free(struct source *s)
{
	struct error why = { 0 };

	if (!s)
		return;
	s->quit = true;
	session_notify(&s->se);
	error_set(&why, ECANCELED, "cancelled");
	session_event(&s->se, EVENT_QUIT, &why);
	/* Where the phase is final already: a REFUSE that is being delivered */
	link_shut(&s->se.link);
	if (s->started)
		pthread_join(s->thread, NULL);
	source_close_link(s);
	reporter_end(&s->reporter);
	session_fini(&s->se);
	push_fini(&s->push);
	source_precopy_end(s);
	batch_fini(&s->batch);
	page_source_fini(&s->pages);
	free(s->zero.at);
	free(s);
}
