// SPDX-License-Identifier: MIT
/*
 * target_recover.c - A destination that has lost its link takes part in another
 *
 * The session thread ends the threads of the lost link, all but the fault
 * thread, which goes on to serve zero pages. Then it is parked. The listener's
 * thread checks a HELLO that resumes, and begins the link; the session thread
 * walks through resume_stages[]. Until the stage "recommit" no page arrives, and
 * all memory and all threads are allocated there, so a failure only means that
 * the session is paused still.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stages.h"
#include "target.h"
#include "vmm/base/log.h"

void target_leave_link(struct target *t)
{
	link_shut(&t->se.link);
	fault_detach(&t->faults);
	receive_end(&t->receive);
	link_close(&t->se.link);
	t->parked = true;
}

/* Is it this session, and the next link of it? Return: 0, -errno */
static int check_resume(struct target *t, const struct wire_hello *h,
			unsigned phase, struct error *err)
{
	struct session *se = &t->se;

	if (phase == TARGET_LISTENING || phase == TARGET_COMPLETED)
		return error_set(err, ENOENT,
			"no session waits here to be resumed");
	if (memcmp(h->id, se->id, WIRE_ID))
		return error_set(err, EBUSY,
			"this is the migration of another guest");
	if (!wire_same_secret(h->secret, se->secret))
		return error_set(err, EACCES,
			"the secret of the session is wrong");
	if (h->epoch <= t->epoch)
		return error_set(err, ESTALE,
			"stale epoch %u: a replayed or late greeting, or a second one that resumes the session; the last one was %u",
			h->epoch, t->epoch);
	/* In doubt a source that tells its decision is welcome in any case */
	if (se->manual && phase == TARGET_LOST)
		return error_set(err, EPERM,
			"an operator must allow it at the destination: ferry recover (migrate-recover)");
	return 0;
}

/* Only a source that has lost the old link opens another one */
static int lose_old_link(struct target *t)
{
	struct error why = { 0 };

	error_set(&why, EPIPE, "the source has lost the connection");
	session_event(&t->se, EVENT_MAIN_LOST, &why);
	return -EAGAIN;
}

/* The caller holds @greet_lock */
static int let_in(struct target *t, const struct channel *c,
		  const struct wire_hello *h)
{
	struct session *se = &t->se;

	if (!t->parked)
		return -EAGAIN;
	link_begin(&se->link, h->epoch, se->limits->dead_peer_ms);
	if (link_put(&se->link, WIRE_MAIN, 0, c))
		return -EAGAIN;
	t->epoch = h->epoch;
	t->parked = false;
	se->link.pushes = h->push < WIRE_PUSH_MAX ? h->push : WIRE_PUSH_MAX;
	/* Fails only when the process ends: the link is closed then */
	session_event(se, EVENT_REJOINED, NULL);
	return 0;
}

int target_greet_resume(struct target *t, const struct channel *c,
			const struct wire_hello *h, struct error *err)
{
	unsigned phase = session_phase(&t->se);
	int rc = check_resume(t, h, phase, err);

	if (rc)
		return rc;
	if (!target_is_parked(phase))
		return lose_old_link(t);
	pthread_mutex_lock(&t->greet_lock);
	rc = let_in(t, c, h);
	pthread_mutex_unlock(&t->greet_lock);
	return rc;
}

int target_rejoin(struct target *t, struct error *err)
{
	channel_set_silence(&t->se.link.main, t->se.limits->hello_ms);
	return target_welcome(t, WIRE_MAIN, 0, err);
}

static int say_report(struct target *t, unsigned flags,
		      const struct page_run *run, size_t n, struct error *err)
{
	const struct wire_report head = { .flags = flags, .n = (uint32_t)n };
	struct writer w = { 0 };
	uint8_t raw[WIRE_REPORT_RUN];
	int rc;

	wire_put_report(raw, &head);
	put_bytes(&w, raw, WIRE_REPORT_HEAD);
	for (size_t i = 0; i < n; i++) {
		wire_put_run(raw, &(struct wire_run){
			.offset = (uint64_t)run[i].first * WIRE_PAGE,
			.pages = run[i].pages,
			.kind = (enum wire_run_kind)run[i].have,
		});
		put_bytes(&w, raw, WIRE_REPORT_RUN);
	}
	rc = session_say(&t->se, WIRE_MSG_REPORT, &w, err);
	writer_free(&w);
	return rc;
}

/* Several messages, if there are many runs. The last one has the flag END */
static int say_runs(struct target *t, unsigned flags, struct error *err)
{
	struct page_run *run = calloc(WIRE_REPORT_RUNS, sizeof(*run));
	const size_t pages = t->store.table.n;
	size_t from = 0;
	int rc = 0;

	if (!run)
		return error_set(err, ENOMEM, "out of memory for REPORT");
	do {
		size_t n = page_store_report(&t->store, &from, run,
					     WIRE_REPORT_RUNS);

		rc = say_report(t, from < pages ? flags
				: flags | WIRE_REPORT_END, run, n, err);
	} while (!rc && from < pages);
	free(run);
	return rc;
}

/* A source that asks has not received COMPLETE. It answers with CONFIRMED */
static int report_whole(struct target *t, struct error *err)
{
	int rc = say_report(t, WIRE_REPORT_END | WIRE_REPORT_COMMITTED |
			    WIRE_REPORT_WHOLE, NULL, 0, err);

	if (!rc)
		rc = target_await_confirmed(t, err);
	return rc ? rc : STAGES_OVER;
}

int target_report(struct target *t, struct error *err)
{
	struct channel *main = &t->se.link.main;
	unsigned phase;
	int rc;

	channel_set_end(main, channel_now_ns() +
			t->se.limits->hello_ms * 1000000ull);
	rc = session_expect(&t->se, WIRE_MSG_RESUME, NULL, NULL, err);
	if (rc)
		return rc;
	channel_set_end(main, 0);
	channel_set_silence(main, t->se.limits->silence_ms);
	phase = session_phase(&t->se);
	if (phase == TARGET_WHOLE)
		return report_whole(t, err);
	return say_runs(t, phase == TARGET_REJOIN ? WIRE_REPORT_COMMITTED : 0,
			err);
}

int target_reattach(struct target *t, struct error *err)
{
	int rc = target_open_link(t, err);

	if (rc)
		return rc;
	fault_attach(&t->faults, &t->se.link.demand, t->se.limits->answer_ms);
	/* A vCPU may wait for a huge page that is complete: see place_huge.c */
	if (!session_event(&t->se, EVENT_RECOVERED, NULL))
		return page_store_settle(&t->store, err);
	/* A loss that came before fault_attach() was not seen by the thread */
	fault_cut(&t->faults);
	return error_set(err, EPIPE, "a connection was lost");
}

int target_recommit(struct target *t, struct error *err)
{
	return session_phase(&t->se) == TARGET_PREPARED
		? target_commit(t, err) : 0;
}

/* Return: true if it listens there already */
static bool is_same_uri(const struct uri *a, const struct uri *b)
{
	char x[URI_TEXT], y[URI_TEXT];

	uri_text(a, x);
	uri_text(b, y);
	return !strcmp(x, y);
}

static int listen_there(struct target *t, const struct uri *uri,
			struct error *err)
{
	struct greeter *new = target_listen(t, uri, err), *old;

	if (!new)
		return -err->code;
	pthread_mutex_lock(&t->listen_lock);
	old = t->greeter;
	t->greeter = new;
	t->uri = *uri;
	pthread_mutex_unlock(&t->listen_lock);
	greeter_free(old);
	progress_uri(t->se.progress, uri);
	return 0;
}

int target_recover(struct target *t, const struct uri *uri, struct error *err)
{
	unsigned phase = session_phase(&t->se);
	int rc;

	if (phase != TARGET_LOST && phase != TARGET_DOUBT)
		return error_set(err, EINVAL,
			"only a migration that is postcopy-paused can be recovered");
	rc = is_same_uri(uri, &t->uri) ? 0 : listen_there(t, uri, err);
	if (rc)
		return rc;
	t->se.manual = false;
	return 0;
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
