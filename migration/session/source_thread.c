// SPDX-License-Identifier: MIT
/*
 * source_thread.c - The session thread of a source
 *
 * It walks through the stages. A session that has lost its link after the point
 * of no return is parked then: the thread ends the threads of that link, waits
 * for the retry timer or an operator, and walks through resume_stages[]. RAM and
 * the ledger stay. A session that has failed after PREPARE delivers REFUSE.
 */

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "source_connect.h"
#include "source_precopy.h"
#include "source_relink.h"
#include "source_thread.h"
#include "stages.h"

#define RETRY_MS	100u		/* after the first loss; then doubled */
#define RETRY_MAX_MS	5000u
#define LOOK_NS		(1000 * NS_PER_MS)	/* automatic recovery is switched on */

/* A wait of the hand-over that took too long: say which limit it was */
static void explain_timeout(const struct source *s, int rc, struct error *err)
{
	if (rc != -ETIMEDOUT || !s->deadline || now_ns() < s->deadline)
		return;
	error_clear(err);
	error_set(err, ETIMEDOUT,
		"the destination was not prepared in time: the downtime limit is %u ms",
		s->se.limits->downtime_ms);
}

/* Walk through stages, and report how it ended */
static void source_walk(struct source *s, const struct stage *st)
{
	struct error err = { 0 };
	int rc = 0;

	for (; st->name && !rc; st++) {
		progress_stage(s->se.progress, st->name);
		if (st->source)
			rc = st->source(s, &err);
	}
	explain_timeout(s, rc, &err);
	/* Before a client can see that it is over, and begin another one */
	source_precopy_end(s);
	if (rc < 0)
		session_event(&s->se, phase_event_of(rc), &err);
	session_event(&s->se, EVENT_LEFT, NULL);
}

uint64_t source_retry_ns(unsigned attempts, uint16_t dice)
{
	const uint64_t ns = (attempts < 6 ? RETRY_MS << attempts
					  : RETRY_MAX_MS) * NS_PER_MS;

	return ns * 3 / 4 + ns / 2 * dice / UINT16_MAX;
}

static uint64_t retry_ns(const struct source *s)
{
	uint16_t dice = 0;

	if (getrandom(&dice, sizeof(dice), GRND_NONBLOCK) < 0)
		dice = UINT16_MAX / 2;
	return source_retry_ns(s->attempts, dice);
}

/* The threads of the lost link end; RAM and the ledger stay */
static void leave_link(struct source *s)
{
	source_close_link(s);
	s->reported = false;
}

/*
 * Is a new link due, after a wait of a second at most? Only this thread opens
 * one: another thread could do so before the old link is left
 */
static bool is_redial_due(struct source *s, uint64_t at)
{
	const uint64_t look = now_ns() + LOOK_NS;
	bool due;

	pthread_mutex_lock(&s->se.lock);
	if (!s->asked && source_is_parked(s->se.phase))
		session_sleep(&s->se, session_is_automatic(&s->se) && at < look
				      ? at : look);
	due = s->asked || (session_is_automatic(&s->se) && now_ns() >= at);
	s->asked = false;
	pthread_mutex_unlock(&s->se.lock);
	return due;
}

/* Wait for an operator or for the retry timer */
static void await_redial(struct source *s)
{
	const uint64_t at = now_ns() + retry_ns(s);

	while (source_is_parked(session_phase(&s->se)))
		if (is_redial_due(s, at))
			session_event(&s->se, EVENT_REDIAL, NULL);
}

/* Further links, until the session is over */
static void source_recover(struct source *s)
{
	while (source_is_parked(session_phase(&s->se))) {
		leave_link(s);
		await_redial(s);
		if (source_is_redialling(session_phase(&s->se)))
			source_walk(s, resume_stages);
		else	/* An operator's decision, or the process ends */
			session_event(&s->se, EVENT_LEFT, NULL);
	}
}

/*
 * Wait until the next attempt. It is due without automatic recovery, too: no
 * guest is moved by it, and a destination in doubt would wait for ever.
 *
 * Return: true to make it
 */
static bool await_retry(struct source *s)
{
	const uint64_t end = now_ns() + retry_ns(s);
	bool may;

	pthread_mutex_lock(&s->se.lock);
	while (!s->quit && now_ns() < end)
		session_sleep(&s->se, end);
	may = !s->quit;
	pthread_mutex_unlock(&s->se.lock);
	return may;
}

/*
 * Only a destination that refuses the greeting, because no session waits there
 * any more, is known to have received REFUSE: a link that was opened may be
 * lost before REFUSE arrives (docs/model: BREAK_REFUSE_UNSURE). A host that
 * refuses the connection proves nothing: its listener may open again.
 *
 * Return: true if the destination knows
 */
static bool deliver_once(struct source *s, const struct error *why)
{
	struct channel *main = &s->se.link.main;
	struct error err = { 0 };
	int rc = source_begin_link(s, &err);
	bool knows = rc == -ECONNREFUSED && channel_is_open(main);

	s->attempts++;
	if (!rc) {
		channel_set_end(main, ns_after(s->se.limits->dead_peer_ms));
		channel_refuse(main, why);
		/* It closes when it has discarded the machine */
		channel_expect(main, WIRE_MSG_REFUSE, NULL, NULL, &err);
	}
	link_shut(&s->se.link);
	link_close(&s->se.link);
	return knows;
}

/* Until it is delivered, or source_free() is called */
static void deliver_refusal(struct source *s)
{
	struct error *why = &s->refusal;

	s->attempts = 0;
	/* The figures may be those of the next migration */
	link_uncount(&s->se.link);
	if (!why->code)
		error_set(why, ECANCELED, "the guest runs on the source");
	while (await_retry(s) && !deliver_once(s, why))
		;
}

void *source_thread_main(void *arg)
{
	struct source *s = arg;

	source_walk(s, stages);
	source_recover(s);
	/* Nothing is left to report once no thread sends */
	source_close_link(s);
	reporter_end(&s->reporter);
	if (s->prepare_sent && source_may_run(session_phase(&s->se))) {
		s->refuses_since = now_ns();
		deliver_refusal(s);
		s->refuses_since = 0;
	}
	s->over = true;
	return NULL;
}
