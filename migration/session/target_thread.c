// SPDX-License-Identifier: MIT
/*
 * target_thread.c - The session thread of a destination
 *
 * It waits until the listener has accepted the main connection of a source, and
 * walks through the stages. A session that has lost its link after PREPARED is
 * parked then: the thread ends the threads of that link, all but the fault
 * thread, which goes on to serve zero pages, and waits for a source that resumes
 * (target_greet.c) to walk through resume_stages[].
 */

#include "stages.h"
#include "target_connect.h"
#include "target_thread.h"

static void walk(struct target *t, const struct stage *st)
{
	struct error err = { 0 };
	int rc = 0;

	for (; st->name && !rc; st++) {
		progress_stage(t->se.progress, st->name);
		if (st->target)
			rc = st->target(t, &err);
	}
	if (rc < 0)
		session_event(&t->se, phase_event_of(rc), &err);
	session_event(&t->se, EVENT_LEFT, NULL);
}

static bool is_waiting(unsigned phase)
{
	return phase == TARGET_LISTENING || target_is_parked(phase);
}

static void ignore_status(void *ctx, enum progress_status status)
{
	(void)ctx;
	(void)status;
}

/*
 * Wait until a source has begun a link, even if that link is lost again
 * before this thread runs (migrate-pause, or a second HELLO): the caller must
 * close it. @changes: session_changes() before the last link was left; @end:
 * when the wait ends, ns, or 0
 */
static unsigned await_source(struct target *t, unsigned changes, uint64_t end)
{
	struct session *se = &t->se;
	unsigned phase;

	pthread_mutex_lock(&se->lock);
	while (is_waiting(se->phase) &&
	       (se->changes == changes || t->parked) &&
	       (!end || now_ns() < end))
		session_sleep(se, end);
	phase = se->phase;
	pthread_mutex_unlock(&se->lock);
	if (!is_waiting(phase))
		return phase;
	/* The listener may be about to change the phase: the link has a
	 * connection already. The caller would close it, and walk() would then
	 * use it
	 */
	pthread_mutex_lock(&t->greet_lock);
	pthread_mutex_unlock(&t->greet_lock);
	return session_phase(se);
}

/* Without a question for confirm_ms, the source is taken to be gone */
static unsigned await_question(struct target *t, unsigned changes)
{
	const uint64_t end = ns_after(t->se.limits->confirm_ms);
	unsigned phase;

	if (t->se.progress != &t->after) {
		t->waits_since = now_ns();
		progress_init(&t->after, ignore_status, NULL);
		session_divert(&t->se, PROGRESS_COMPLETED, &t->after);
	}
	phase = await_source(t, changes, end);
	if (phase == TARGET_UNCONFIRMED && now_ns() >= end)
		session_event(&t->se, EVENT_GIVE_UP, NULL);
	return session_phase(&t->se);
}

/* Wait for the first connection of a link. Return: the phase that ended it */
static unsigned await_link(struct target *t)
{
	const unsigned changes = session_changes(&t->se);
	unsigned phase = session_phase(&t->se);

	if (!target_is_parked(phase)) {
		t->waits_since = now_ns();
		phase = session_wait(&t->se, is_waiting);
		t->waits_since = 0;
		return phase;
	}
	target_leave_link(t);
	return session_phase(&t->se) == TARGET_UNCONFIRMED
		? await_question(t, changes) : await_source(t, changes, 0);
}

/* No further link begins before this one has been left */
static void walk_again(struct target *t)
{
	t->parked = false;
	walk(t, resume_stages);
}

void *target_thread_main(void *arg)
{
	struct target *t = arg;
	unsigned phase;

	for (;;) {
		phase = await_link(t);
		if (phase == TARGET_SETUP)
			walk(t, stages);
		else if (target_is_rejoining(phase) || phase == TARGET_WHOLE)
			walk_again(t);
		else if (!target_is_parked(phase))
			/* An operator's decision, or the process ends */
			session_event(&t->se, EVENT_LEFT, NULL);
		/* After a failure before PREPARED the next source may come. Not
		 * before: a late page_store_abandon() would unregister its RAM
		 */
		if (session_phase(&t->se) == TARGET_FAILING) {
			session_await_actions(&t->se);
			session_event(&t->se, EVENT_DISCARDED, NULL);
		}
		phase = session_phase(&t->se);
		/* SETUP: a source has come the moment there was room */
		if (!is_waiting(phase) && phase != TARGET_SETUP)
			break;
	}
	if (session_phase(&t->se) == TARGET_QUITTING)
		session_event(&t->se, EVENT_LEFT, NULL);
	return NULL;
}
