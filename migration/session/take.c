// SPDX-License-Identifier: MIT
/*
 * take.c - The destination's threads that take what is pushed
 *
 * Each reads its own connection and places what comes: reading and placing
 * take about the same time, so that one thread alone gets half of either.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "priority.h"
#include "target.h"

/* Until DONE */
static int receive(struct receiver *r, struct error *err)
{
	struct wire_msg m;
	int rc = 0;

	priority_bulk();
	while (!rc) {
		rc = channel_hear(r->c, &m, err);
		if (rc || m.type == WIRE_MSG_DONE)
			break;
		if (m.type == WIRE_MSG_PAGES)
			rc = channel_recv(r->c, r->data, m.length, err);
		if (!rc)
			rc = target_message(r->t, &m, r->data, COUNT_PUSH,
					    err);
	}
	return rc;
}

static bool is_parked(unsigned phase)
{
	return phase < TARGET_POSTCOPY;
}

static void *receiver_main(void *arg)
{
	struct receiver *r = arg;
	struct target *t = r->t;
	struct error err = { 0 };

	if (session_wait(&t->se, is_parked) == TARGET_POSTCOPY &&
	    receive(r, &err))
		target_lost(t, WIRE_PUSH, &err);
	if (!--t->receiving)
		target_received(t);
	return NULL;
}

int target_prepare_receive(struct target *t, struct error *err)
{
	for (unsigned i = 0; i < t->se.link.pushes; i++) {
		struct receiver *r = &t->receiver[i];
		int rc;

		r->t = t;
		r->c = &t->se.link.push[i];
		r->data = malloc(WIRE_RUN_PAGES * WIRE_PAGE);
		t->receiving++;
		rc = r->data ? pthread_create(&r->thread, NULL, receiver_main,
					      r) : ENOMEM;
		if (rc)
			t->receiving--;
		if (rc)
			return error_set(err, rc,
				"cannot start a receive thread: %s",
				strerrordesc_np(rc));
		r->started = true;
		pthread_setname_np(r->thread, "receiver");
	}
	return 0;
}

void target_received(struct target *t)
{
	channel_set_end(&t->se.link.main, channel_now_ns() +
			t->se.limits->silence_ms * 1000000ull);
}

void target_end_receive(struct target *t)
{
	for (unsigned i = 0; i < WIRE_PUSH_MAX; i++) {
		struct receiver *r = &t->receiver[i];

		if (r->started)
			pthread_join(r->thread, NULL);
		r->started = false;
		free(r->data);
		r->data = NULL;
	}
}
