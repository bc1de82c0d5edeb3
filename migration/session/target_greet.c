// SPDX-License-Identifier: MIT
/*
 * target_greet.c - Which greetings begin a session, resume it, or add to its link
 *
 * The listener's thread calls target_greeted() for each HELLO. It must not wait:
 * the connection is added to the link, the phase changes, and the session thread
 * answers.
 */

#include <errno.h>
#include <string.h>

#include "target_greet.h"

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
			"stale epoch %u after %u: a replayed, late or second greeting that resumes",
			h->epoch, t->epoch);
	/* In doubt the source's decision is accepted in any case */
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

/* A main connection that begins a new link. Return: as greeter_fn */
static int greet_resume(struct target *t, const struct channel *c,
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

static int refuse_busy(struct error *err)
{
	return error_set(err, EBUSY, "another migration is arriving here");
}

/* A main connection: it begins a session, if none is there */
static int greet_main(struct target *t, const struct channel *c,
		      const struct wire_hello *h, struct error *err)
{
	struct session *se = &t->se;
	unsigned phase = session_phase(se);

	if (h->resume)
		return greet_resume(t, c, h, err);
	/* A session that has failed, or is about to notice, is freed soon */
	if (phase == TARGET_FAILING ||
	    (phase != TARGET_LISTENING && !target_has_promised(phase) &&
	     link_ended(&se->link)))
		return -EAGAIN;
	if (phase != TARGET_LISTENING)
		return refuse_busy(err);
	if (t->epoch && !memcmp(h->id, se->id, WIRE_ID))
		return error_set(err, ESTALE,
			"a replayed greeting: that migration has ended here");
	link_begin(&se->link, h->epoch, se->limits->dead_peer_ms);
	if (link_put(&se->link, WIRE_MAIN, 0, c))
		return refuse_busy(err);
	memcpy(se->id, h->id, WIRE_ID);
	memcpy(se->secret, h->secret, WIRE_SECRET);
	t->epoch = h->epoch;
	t->parked = t->passing = se->manual = false;
	se->link.pushes = h->push < WIRE_PUSH_MAX ? h->push : WIRE_PUSH_MAX;
	progress_begin(se->progress, false);
	progress_name(se->progress, se->id, &t->uri);
	/* Fails only when the process ends: the link is closed then */
	session_event(se, WIRE_MSG_HELLO, NULL);
	return 0;
}

/* A further connection of the session that is being set up */
static int greet_more(struct target *t, const struct channel *c,
		      const struct wire_hello *h, struct error *err)
{
	struct session *se = &t->se;
	unsigned i = 0, n = h->role == WIRE_PUSH ? se->link.pushes : 1;

	if (session_phase(se) == TARGET_LISTENING)
		return error_set(err, EBADMSG,
			"the peer opened the wrong kind of connection");
	if (memcmp(h->id, se->id, WIRE_ID) ||
	    !wire_same_secret(h->secret, se->secret))
		return refuse_busy(err);
	if (h->epoch != se->link.epoch)
		return error_set(err, ESTALE,
			"stale epoch %u: a connection of a link that is lost",
			h->epoch);
	if (session_phase(se) != TARGET_SETUP &&
	    !target_is_rejoining(session_phase(se)))
		return refuse_busy(err);
	if (!link_same_peer(&se->link, c))
		return error_set(err, EACCES,
			"another certificate or key than that of the main connection");
	while (i < n && link_has(&se->link, h->role, i))
		i++;
	if (i == n || link_put(&se->link, h->role, i, c))
		return refuse_busy(err);
	session_notify(se);
	return 0;
}

/* The listener's thread: a connection has said HELLO */
static int target_greeted(void *ctx, const struct channel *c,
			  const struct wire_hello *h, struct error *err)
{
	return h->role == WIRE_MAIN ? greet_main(ctx, c, h, err)
				    : greet_more(ctx, c, h, err);
}

static bool target_is_ending(void *ctx)
{
	const struct session_env *env = ((struct target *)ctx)->se.env;

	return env->ending && env->ending(env->ctx);
}

static struct greeter *new_listener(struct target *t, const struct uri *uri,
			      struct error *err)
{
	return greeter_new(uri, &(struct greeter_env){
		.hello_ms = &t->se.limits->hello_ms, .tls = &t->se.link.tls,
		.fn = target_greeted, .ending = target_is_ending, .ctx = t,
	}, err);
}

int target_listen(struct target *t, struct error *err)
{
	int rc;

	/* The session thread, which may stop it, must see it */
	pthread_mutex_lock(&t->listen_lock);
	t->greeter = new_listener(t, &t->uri, err);
	rc = t->greeter ? 0 : -err->code;
	pthread_mutex_unlock(&t->listen_lock);
	return rc;
}

bool target_can_recover(const struct target *t)
{
	const unsigned phase = session_phase(&t->se);

	return phase == TARGET_LOST || phase == TARGET_DOUBT ||
	       phase == TARGET_UNCONFIRMED;
}

static bool is_same_uri(const struct uri *a, const struct uri *b)
{
	char x[URI_TEXT], y[URI_TEXT];

	uri_text(a, x);
	uri_text(b, y);
	return !strcmp(x, y);
}

int target_listen_at(struct target *t, const struct uri *uri,
		     struct error *err)
{
	struct greeter *new, *old;
	bool parked;

	if (is_same_uri(uri, &t->uri))
		return 0;
	new = new_listener(t, uri, err);
	if (!new)
		return -err->code;
	/* A listener that is opened after the last stage would never be closed */
	pthread_mutex_lock(&t->listen_lock);
	parked = target_can_recover(t);
	old = parked ? t->greeter : new;
	if (parked) {
		t->greeter = new;
		t->uri = *uri;
		/* Of a session that is over, nothing is shown any more */
		if (session_phase(&t->se) != TARGET_UNCONFIRMED)
			progress_uri(t->se.progress, uri);
	}
	pthread_mutex_unlock(&t->listen_lock);
	greeter_free(old);
	return parked ? 0 : error_set(err, EBUSY,
		"the source has connected meanwhile: the migration is not paused any more");
}

void target_stop_listening(struct target *t)
{
	pthread_mutex_lock(&t->listen_lock);
	greeter_stop(t->greeter);
	pthread_mutex_unlock(&t->listen_lock);
}

void target_free_listener(struct target *t)
{
	struct greeter *g;

	/* The session thread may be about to stop it */
	pthread_mutex_lock(&t->listen_lock);
	g = t->greeter;
	t->greeter = NULL;
	pthread_mutex_unlock(&t->listen_lock);
	greeter_free(g);
}
