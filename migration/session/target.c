// SPDX-License-Identifier: MIT
/*
 * target.c - The side that a guest arrives at
 *
 * phase.c decides what a failure means: before PREPARED everything is discarded,
 * and the next source may try; after it the machine is kept, and does not run
 * before COMMIT (invariant 5); after COMMIT it runs with what has arrived.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migration/pages/mutant.h"
#include "target.h"
#include "target_connect.h"
#include "target_greet.h"
#include "target_load.h"
#include "target_poison.h"
#include "target_thread.h"
#include "vmm/base/log.h"
#include "vmm/memory/uffd.h"

#define ENDED_MS	2000	/* for ENDED: without it the source waits on */
#define ENDED_LOOK_MS	5

static struct target *target_of(struct session *se)
{
	return (struct target *)((char *)se - offsetof(struct target, se));
}

static void refuse(struct target *t)
{
	struct error why = progress_why(t->se.progress);

	session_refuse(&t->se, &why);
}

/* The source would wait for a guest that is not there any more */
static void tell_ended(struct target *t)
{
	struct channel *main = &t->se.link.main;
	struct wire_msg m = { .type = WIRE_MSG_ENDED };
	const char *text;

	if (!t->adopted || !channel_is_open(main))
		return;
	text = machine_status(t->m).state == RUN_SHUTDOWN
		? "it has powered off" : "its process was ended there";
	m.length = (uint32_t)strlen(text);
	channel_set_end(main, ns_after(ENDED_MS));
	if (channel_say(main, &m, text, NULL))
		return;
	/* The source must read this before it sees the others closed: it closes
	 * the link then. Not for ever, because its host may be gone
	 */
	for (unsigned ms = 0; ms < ENDED_MS && !channel_ended(main);
	     ms += ENDED_LOOK_MS)
		usleep(ENDED_LOOK_MS * 1000);
}

/* Free what a session has left; the phase lets no thread use it any more */
static void discard(struct target *t)
{
	target_end_link(t);
	/* A thread that waits for a page gets a zero page when RAM is
	 * unregistered, and no vCPU may run with it. The machine goes last: its
	 * end waits for such threads
	 */
	if (t->m)
		machine_halt(t->m);
	page_store_close(&t->store);
	if (t->adopted)
		t->se.env->adopt(t->se.env->ctx, NULL);
	t->adopted = false;
	machine_free(t->m);
	t->m = NULL;
	target_drop_received(t);
}

/* COMMIT was received: from here on the guest is this machine's */
static void run_guest(struct target *t)
{
	const struct session_env *env = t->se.env;

	env->set_side(env->ctx, "destination");
	t->adopted = true;
	env->adopt(env->ctx, t->m);
	t->se.progress->run = now_ns();
	if (t->run_it && !machine_panicked(t->m))
		machine_run(t->m, WHY_POSTCOPY, NULL);
	else
		machine_set_status(t->m, (struct run_status){
			machine_panicked(t->m) ? RUN_GUEST_PANICKED
					       : RUN_PAUSED, WHY_POSTCOPY });
}

/* The guest is an ordinary one now: nothing of the migration stays */
static void close_all(struct target *t)
{
	target_end_link(t);
	target_stop_listening(t);
}

static void target_perform(struct session *se, unsigned actions)
{
	struct target *t = target_of(se);

	/* Loading state may wait for a page that will not come. What it loads
	 * then is zeroes, and the machine is discarded
	 */
	if (actions & PHASE_RELEASE)
		page_store_abandon(&t->store);
	if (actions & (PHASE_HANG_UP | PHASE_SHUT))
		fault_cut(&t->faults);
	if (actions & PHASE_HANG_UP)
		link_hang_up(&se->link, SESSION_GOODBYE_MS);
	if (actions & PHASE_SHUT)
		link_shut(&se->link);
	if (actions & PHASE_REFUSE)
		refuse(t);
	if (actions & PHASE_ENDED)
		tell_ended(t);
	if (actions & PHASE_DISCARD)
		discard(t);
	if (actions & PHASE_RUN)
		run_guest(t);
	if (actions & PHASE_CLOSE)
		close_all(t);
}

static const char *lost_remedy(const struct target *t, unsigned phase)
{
	if (phase == TARGET_DOUBT)
		return "ferry migrate NAME URI --resume at the source, unless it does that by itself; if the source is gone for good: ferry resolve NAME --run-here";
	return t->se.manual
		? "ferry recover NAME URI here, then ferry migrate NAME URI --resume at the source"
		: "ferry migrate NAME URI --resume at the source, unless it does that by itself; ferry recover NAME URI listens at another address";
}

static enum progress_status show_lost(struct target *t, unsigned phase)
{
	static const enum run_reason from[] = {
		WHY_POSTCOPY, WHY_USER, WHY_UNPAUSED,
	};
	struct error why = progress_why(t->se.progress);

	log_line("migration paused: %s; what has arrived is kept here",
		 why.text);
	progress_wait(t->se.progress, "the source to connect again",
		      lost_remedy(t, phase), false);
	for (size_t i = 0; phase == TARGET_LOST && i < ARRAY_SIZE(from); i++)
		machine_set_reason(t->m, from[i], WHY_POSTCOPY_FAILED);
	return PROGRESS_PAUSED;
}

static enum progress_status target_show(struct session *se, unsigned phase)
{
	struct target *t = target_of(se);
	struct error why;

	switch (phase) {
	case TARGET_SETUP:
		return t->passing ? PROGRESS_ACTIVE : PROGRESS_SETUP;
	case TARGET_POSTCOPY:
		machine_set_reason(t->m, WHY_POSTCOPY_FAILED, WHY_POSTCOPY);
		progress_wait(se->progress, NULL, NULL, false);
		return PROGRESS_POSTCOPY;
	case TARGET_WHOLE:
		return PROGRESS_POSTCOPY;
	case TARGET_COMPLETED:
	case TARGET_UNCONFIRMED:
		if (!t->logged)
			log_line("the guest has arrived whole");
		t->logged = true;
		return PROGRESS_COMPLETED;
	case TARGET_REJOIN:
	case TARGET_REJOIN_DOUBT:
		return PROGRESS_RECOVER;
	case TARGET_DOUBT:
	case TARGET_LOST:
		return show_lost(t, phase);
	case TARGET_FAILING:
		why = progress_why(se->progress);
		progress_wait(se->progress, NULL, NULL, false);
		log_line("incoming migration failed: %s; waiting for another",
			 why.text);
		return PROGRESS_FAILED;
	case TARGET_LISTENING:
	case TARGET_QUITTING:
	case TARGET_ENDED:
		return progress_get(se->progress);
	default:
		return PROGRESS_DEVICE;
	}
}

static const struct session_ops target_ops = {
	.step		= target_step,
	.perform	= target_perform,
	.show		= target_show,
};

static void target_push_lost(void *ctx, bool last, const struct error *why)
{
	struct target *t = ctx;
	const unsigned event = phase_loss_of(last ? EVENT_PUSHES_LOST
					     : EVENT_PUSH_LOST, -why->code);

	if (event == EVENT_PUSH_LOST &&
	    session_phase(&t->se) == TARGET_POSTCOPY)
		log_line("a push connection was lost: %s; its pages come on another one",
			 why->text);
	session_event(&t->se, event, why);
}

static void target_push_ended(void *ctx)
{
	struct target *t = ctx;

	session_wake(&t->se);
}

/*
 * What WELCOME says of this kernel. A process that may not open a userfaultfd
 * at all fails when it needs one, with the remedy.
 */
static bool kernel_can_poison(void)
{
	if (uffd_has_poison() && !mutant("old-kernel"))
		return true;
	log_line("this kernel has no UFFDIO_POISON (Linux 6.6 or newer has): only a guest without lost memory, sent with --no-poison, can come here");
	return false;
}

static int target_start(struct target *t, struct error *err)
{
	int rc;

	rc = pthread_create(&t->thread, NULL, target_thread_main, t);
	if (rc)
		return error_set(err, rc,
			"cannot start the incoming migration: %s",
			strerrordesc_np(rc));
	t->started = true;
	pthread_setname_np(t->thread, "migration");
	return target_listen(t, err);
}

struct target *target_new(const struct uri *uri, const struct session_env *env,
			  const struct session_limits *limits,
			  struct progress *progress, struct error *err)
{
	struct target *t = calloc(1, sizeof(*t));

	if (!t) {
		error_set(err, ENOMEM, "out of memory for a migration");
		return NULL;
	}
	session_init(&t->se, &target_ops, env, limits, progress);
	t->uri = *uri;
	t->can_poison = kernel_can_poison();
	page_store_init(&t->store, &progress->stats,
			&(struct page_store_events){
		.ctx = t, .poisoned = target_poisoned,
		.report = target_report_poison, .crash = target_crash,
	}, t->can_poison);
	receive_init(&t->receive, &t->store, target_push_lost,
		     target_push_ended, t);
	pthread_mutex_init(&t->greet_lock, NULL);
	pthread_mutex_init(&t->listen_lock, NULL);
	if (!target_start(t, err))
		return t;
	target_free(t);
	return NULL;
}

int target_pause(struct target *t, struct error *err)
{
	struct error why = { 0 };

	error_set(&why, ECANCELED, "migrate-pause has shut the connections");
	if (!session_event(&t->se, EVENT_PAUSE, &why))
		return 0;
	return error_set(err, EINVAL,
			 "only a migration in postcopy can be paused");
}

int target_recover(struct target *t, const struct uri *uri, struct error *err)
{
	const unsigned manuals = t->se.manuals;
	int rc;

	if (!target_can_recover(t))
		return error_set(err, EINVAL,
			"only a migration that is postcopy-paused or not confirmed can be recovered");
	rc = session_keeps_tls(&t->uri, uri, err);
	if (!rc)
		rc = target_listen_at(t, uri, err);
	if (!rc)
		session_allow(&t->se, manuals);
	return rc;
}

int target_resolve(struct target *t, bool run_here, struct error *err)
{
	unsigned phase = session_phase(&t->se);
	struct error why = { 0 };

	error_set(&why, ECANCELED, run_here
		  ? "an operator has decided that the guest runs here"
		  : "an operator has given the guest up here");
	if (phase == TARGET_DOUBT &&
	    !session_event(&t->se, run_here ? EVENT_RUN_HERE : EVENT_GIVE_UP,
			   &why))
		return 0;
	if (phase == TARGET_REJOIN_DOUBT || phase == TARGET_DOUBT)
		return error_set(err, EAGAIN,
			"the source has connected just now: it decides");
	return error_set(err, EPERM, target_has_committed(phase)
		? "the guest runs here already: quit ends it"
		: "nothing is to be resolved: the hand-over is not in doubt here");
}

bool target_waits(struct target *t, struct progress_wait *w)
{
	static const struct progress_wait begins = {
		.what = "a source to connect",
		.remedy = "ferry migrate NAME URI at the source",
	}, asks = {
		.what = "the source to ask whether the guest has arrived whole, "
			"until ferry-confirm-timeout ends this wait",
		.remedy = "none, the source asks when it can connect again; "
			  "for another address: ferry recover NAME URI here, "
			  "then ferry migrate NAME URI --resume at the source",
	};
	const unsigned phase = session_phase(&t->se);

	if (phase != TARGET_LISTENING && phase != TARGET_UNCONFIRMED)
		return false;
	*w = phase == TARGET_LISTENING ? begins : asks;
	w->since = t->waits_since;
	return w->since;
}

void target_free(struct target *t)
{
	if (!t)
		return;
	session_event(&t->se, EVENT_QUIT, NULL);
	target_free_listener(t);
	if (t->started)
		pthread_join(t->thread, NULL);
	/* In the phases in which the session thread had ended before */
	session_event(&t->se, EVENT_LEFT, NULL);
	session_fini(&t->se);
	pthread_mutex_destroy(&t->greet_lock);
	pthread_mutex_destroy(&t->listen_lock);
	fault_fini(&t->faults);
	receive_fini(&t->receive);
	page_store_fini(&t->store);
	free(t);
}
