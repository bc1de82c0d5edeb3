// SPDX-License-Identifier: MIT
/* session.c - What both sides of a session have in common */

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "session.h"
#include "vmm/base/log.h"

void session_limits_init(struct session_limits *l)
{
	l->connect_ms = 10000;
	l->hello_ms = 10000;
	l->build_ms = 30000;
	l->silence_ms = 20000;
	l->answer_ms = 20000;
	l->last_pages_ms = 20000;
	l->downtime_ms = 2000;
	l->beat_ms = 1000;
	l->dead_peer_ms = 5000;
	l->confirm_ms = 300000;
	l->automatic = true;
}

int session_keeps_tls(const struct uri *last, const struct uri *next,
		      struct error *err)
{
	char text[URI_TEXT];

	if (last->kind != URI_TLS || next->kind == URI_TLS)
		return 0;
	uri_text(next, text);
	return error_set(err, EPERM,
		"this migration began with TLS, so it continues with TLS only: not at '%s'",
		text);
}

static void init_changed(pthread_cond_t *changed)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(changed, &attr);
	pthread_condattr_destroy(&attr);
}

void session_init(struct session *se, const struct session_ops *ops,
		  const struct session_env *env,
		  const struct session_limits *limits,
		  struct progress *progress)
{
	se->ops = ops;
	se->env = env;
	se->limits = limits;
	se->progress = progress;
	link_init(&se->link);
	se->link.counts = progress->connections;
	if (env->tls)
		se->link.tls = *env->tls;
	/* Without it the session thread looks again after a while */
	se->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&se->lock, NULL);
	init_changed(&se->changed);
	pthread_mutex_init(&se->show_lock, NULL);
}

void session_fini(struct session *se)
{
	link_fini(&se->link);
	pthread_mutex_destroy(&se->lock);
	pthread_cond_destroy(&se->changed);
	pthread_mutex_destroy(&se->show_lock);
	if (se->wake >= 0)
		close(se->wake);
}

unsigned session_phase(const struct session *se)
{
	return se->phase;
}

/*
 * Show the phase as it is now, not the one of the step that asked for it: of
 * two threads that come here the later one must not show the older phase.
 */
void session_show(struct session *se)
{
	pthread_mutex_lock(&se->show_lock);
	progress_set(se->progress, se->ops->show(se, se->phase));
	pthread_mutex_unlock(&se->show_lock);
}

void session_divert(struct session *se, enum progress_status last,
		    struct progress *p)
{
	pthread_mutex_lock(&se->show_lock);
	progress_set(se->progress, last);
	se->progress = p;
	link_uncount(&se->link);
	pthread_mutex_unlock(&se->show_lock);
}

static void blame(struct session *se, unsigned actions,
		  const struct error *why)
{
	struct error cause = *why;

	if (actions & PHASE_DOUBT)
		error_prefix(&cause, "hand-over in doubt");
	progress_blame(se->progress, &cause);
}

static void end_performing(struct session *se)
{
	pthread_mutex_lock(&se->lock);
	if (!--se->performing)
		pthread_cond_broadcast(&se->changed);
	pthread_mutex_unlock(&se->lock);
}

int session_event(struct session *se, unsigned event, const struct error *why)
{
	struct phase_step s;

	pthread_mutex_lock(&se->lock);
	s = se->ops->step(se->phase, event);
	if (s.next != se->phase) {
		se->changes++;
		pthread_cond_broadcast(&se->changed);
	}
	se->phase = s.next;
	if (s.actions & PHASE_MANUAL) {
		se->manual = true;
		se->manuals++;
	}
	if ((s.actions & PHASE_BLAME) && why)
		blame(se, s.actions, why);
	se->performing++;
	pthread_mutex_unlock(&se->lock);

	session_wake(se);
	se->ops->perform(se, s.actions);
	end_performing(se);
	if (s.actions & PHASE_SHOW)
		session_show(se);
	return s.actions & PHASE_REJECT ? -EPERM : 0;
}

bool session_is_automatic(const struct session *se)
{
	return se->limits->automatic && !se->manual;
}

void session_allow(struct session *se, unsigned manuals)
{
	pthread_mutex_lock(&se->lock);
	if (se->manuals == manuals)
		se->manual = false;
	pthread_mutex_unlock(&se->lock);
}

void session_await_actions(struct session *se)
{
	pthread_mutex_lock(&se->lock);
	while (se->performing)
		pthread_cond_wait(&se->changed, &se->lock);
	pthread_mutex_unlock(&se->lock);
}

unsigned session_wait(struct session *se, session_phase_fn *parked)
{
	unsigned phase;

	pthread_mutex_lock(&se->lock);
	while (parked(se->phase))
		pthread_cond_wait(&se->changed, &se->lock);
	phase = se->phase;
	pthread_mutex_unlock(&se->lock);
	return phase;
}

unsigned session_changes(struct session *se)
{
	unsigned n;

	pthread_mutex_lock(&se->lock);
	n = se->changes;
	pthread_mutex_unlock(&se->lock);
	return n;
}

void session_sleep(struct session *se, uint64_t end)
{
	const struct timespec t = { .tv_sec = (time_t)(end / 1000000000),
				    .tv_nsec = (long)(end % 1000000000) };

	if (end)
		pthread_cond_timedwait(&se->changed, &se->lock, &t);
	else
		pthread_cond_wait(&se->changed, &se->lock);
}

void session_wake(struct session *se)
{
	uint64_t one = 1;

	/* EAGAIN: it is about to look already */
	if (se->wake >= 0 && write(se->wake, &one, sizeof(one)) < 0 &&
	    errno != EAGAIN)
		log_line("eventfd: %m");
}

void session_woken(struct session *se)
{
	uint64_t n;

	if (se->wake >= 0 && read(se->wake, &n, sizeof(n)) < 0 &&
	    errno != EAGAIN)
		log_line("eventfd: %m");
}

void session_notify(struct session *se)
{
	pthread_mutex_lock(&se->lock);
	pthread_cond_broadcast(&se->changed);
	pthread_mutex_unlock(&se->lock);
}

int session_say(struct session *se, enum wire_type type,
		const struct writer *w, struct error *err)
{
	struct wire_msg m = { .type = type,
			      .length = w ? (uint32_t)w->len : 0 };

	if (w && w->failed)
		return error_set(err, ENOMEM, "out of memory for %s",
				 wire_name(type));
	se->progress->stats.bytes += WIRE_HEADER + m.length;
	return channel_say(&se->link.main, &m, w ? w->data : NULL, err);
}

void session_refuse(struct session *se, const struct error *why)
{
	struct channel *main = &se->link.main;

	if (!channel_is_open(main))
		return;
	channel_set_end(main, ns_after(SESSION_GOODBYE_MS));
	channel_refuse(main, why);
}

static int violation(const struct wire_msg *m, const char *wanted,
		     struct error *err)
{
	return error_set(err, EBADMSG, "the peer sent %s where %s belongs",
			 wire_name(m->type), wanted);
}

/* The last message of the peer: its text is the session's error */
static int hear_last(struct session *se, const struct wire_msg *m,
		     struct error *err)
{
	int rc = m->type == WIRE_MSG_REFUSE
		? channel_hear_refusal(&se->link.main, m, err)
		: channel_hear_end(&se->link.main, m, err);

	if (rc == -ECONNREFUSED)
		session_event(se, m->type, err);
	return rc;
}

int session_hear(struct session *se, struct wire_msg *m, const char *wanted,
		 struct error *err)
{
	struct channel *c = &se->link.main;
	struct error why = { 0 };
	int rc = channel_hear(c, m, err);

	if (rc)
		return rc;
	/* A REFUSE that may not come any more is a violation like others */
	if ((m->type == WIRE_MSG_REFUSE || m->type == WIRE_MSG_ENDED) &&
	    !(se->ops->step(se->phase, m->type).actions & PHASE_REJECT))
		return hear_last(se, m, err);
	violation(m, wanted, &why);
	if (!session_event(se, m->type, &why))
		return 0;
	return violation(m, wanted, err);
}

int session_expect(struct session *se, enum wire_type type, uint8_t **payload,
		   uint32_t *length, struct error *err)
{
	struct wire_msg m;
	uint8_t *data;
	int rc = session_hear(se, &m, wire_name(type), err);

	/* The phase allows it, the stage does not */
	if (!rc && m.type != type)
		rc = violation(&m, wire_name(type), err);
	if (!rc)
		rc = channel_hear_payload(&se->link.main, &m, &data, err);
	if (rc)
		return rc;
	if (length)
		*length = m.length;
	if (payload)
		*payload = data;
	else
		free(data);
	return 0;
}
