// SPDX-License-Identifier: MIT
/*
 * push.c - The source's threads that send what nobody has asked for yet
 *
 * Each has a connection of its own and takes the next run from the one
 * policy. A single stream leaves a core idle on either side while the other end copies.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "priority.h"
#include "source.h"
#include "vmm/base/log.h"

#define NAP_MAX_US	10000	/* a change of the limit is seen after it */
#define QUIET_NS	1000000	/* no request for so long: the guest is on its feet */
#define HEAD_START_NS	5000000	/* nor longer than this: some never get there */

/* How long the push must rest for its limit, us; 0 for not at all */
static useconds_t ahead_us(struct source *s)
{
	uint64_t limit = s->bandwidth;
	double ahead = 0;

	pthread_mutex_lock(&s->policy_lock);
	/* A new limit is for what comes, not for what has gone */
	if (s->pace.limit != limit)
		s->pace = (struct pace){ .limit = limit, .start = now_ns() };
	if (limit)
		ahead = (double)s->pace.bytes / (double)limit * 1e6 -
			(double)(now_ns() - s->pace.start) / 1e3;
	pthread_mutex_unlock(&s->policy_lock);
	if (ahead <= 0)
		return 0;
	return ahead > NAP_MAX_US ? NAP_MAX_US : (useconds_t)ahead + 1;
}

/* Demand is never held back */
void source_throttle(struct source *s)
{
	useconds_t us;

	while (s->bandwidth && source_is_sending(session_phase(&s->se)) &&
	       (us = ahead_us(s)))
		usleep(us);
}

static size_t next_run(struct source *s, const struct batch *sent,
		       size_t *first)
{
	size_t n;

	pthread_mutex_lock(&s->policy_lock);
	s->pace.bytes += sent->bytes;
	n = policy_next(&s->policy, &s->sent, first);
	pthread_mutex_unlock(&s->policy_lock);
	return n;
}

/* Until nothing is left that another thread has not claimed */
static int push(struct source *s, struct channel *c, struct batch *b,
		struct error *err)
{
	int rc = 0;

	priority_bulk();
	b->bytes = 0;
	while (!rc) {
		size_t first, n;

		source_throttle(s);
		n = next_run(s, b, &first);
		b->bytes = 0;
		if (!n && !s->injecting && !s->sent.left)
			break;
		if (!n) {
			usleep(100);
			continue;
		}
		rc = batch_fill(s, b, first, n, err);
		if (!rc)
			rc = batch_send(s, b, c, COUNT_PUSH, err);
	}
	return rc;
}

/*
 * A guest that has just been started asks for what it needs to be awake at all,
 * one page after the other. The push would stand before each answer in the
 * host's queues, and take the cores of a small host: it comes a moment later.
 */
static void head_start(struct source *s)
{
	const uint64_t start = now_ns();

	for (;;) {
		/* In this order: what was asked lies behind now */
		uint64_t asked = s->asked, now = now_ns();

		if (now - start >= HEAD_START_NS ||
		    !source_is_sending(session_phase(&s->se)) ||
		    now - (asked > start ? asked : start) > QUIET_NS)
			return;
		usleep(QUIET_NS / 1000 / 5);
	}
}

static bool is_parked(unsigned phase)
{
	return phase < SOURCE_POSTCOPY;
}

static void *pusher_main(void *arg)
{
	const struct wire_msg done = { .type = WIRE_MSG_DONE };
	struct pusher *p = arg;
	struct source *s = p->s;
	struct error err = { 0 };
	uint64_t one = 1;
	int rc = 0;

	if (session_wait(&s->se, is_parked) == SOURCE_POSTCOPY) {
		head_start(s);
		rc = push(s, p->c, &p->batch, &err);
		if (!rc)
			rc = channel_say(p->c, &done, NULL, &err);
		if (rc)
			source_lost(s, WIRE_PUSH, rc, &err);
	}
	s->pushing--;
	/* The session thread looks whether this was the last one */
	if (write(s->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_line("eventfd: %m");
	return NULL;
}

int source_prepare_push(struct source *s, struct error *err)
{
	for (unsigned i = 0; i < s->se.link.pushes; i++) {
		struct pusher *p = &s->pusher[i];
		int rc;

		p->s = s;
		p->c = &s->se.link.push[i];
		s->pushing++;
		rc = batch_init(&p->batch) ? ENOMEM
		     : pthread_create(&p->thread, NULL, pusher_main, p);
		if (rc)
			s->pushing--;
		if (rc)
			return error_set(err, rc,
				"cannot start a push thread: %s",
				strerrordesc_np(rc));
		p->started = true;
		pthread_setname_np(p->thread, "push");
	}
	return 0;
}

void source_end_push(struct source *s)
{
	for (unsigned i = 0; i < WIRE_PUSH_MAX; i++) {
		struct pusher *p = &s->pusher[i];

		if (p->started)
			pthread_join(p->thread, NULL);
		p->started = false;
		batch_fini(&p->batch);
	}
}
