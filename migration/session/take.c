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
#include "stages.h"
#include "target.h"

/* Until DONE */
static int take(struct target *t, struct channel *c, struct error *err)
{
	uint8_t *data = malloc(WIRE_RUN_PAGES * WIRE_PAGE);
	struct wire_msg m;
	int rc = data ? 0 : error_set(err, ENOMEM, "out of memory for pages");

	priority_bulk();
	while (!rc) {
		rc = channel_hear(c, &m, err);
		if (rc || m.type == WIRE_MSG_DONE)
			break;
		if (m.type == WIRE_MSG_PAGES)
			rc = channel_recv(c, data, m.length, err);
		if (!rc)
			rc = target_message(t, &m, data, PAGE_PUSH, err);
	}
	free(data);
	return rc;
}

static void *taker_main(void *arg)
{
	struct taker *k = arg;
	struct error err = { 0 };

	if (take(k->t, &k->c, &err))
		target_fail(k->t, &err);
	return NULL;
}

static int start_takers(struct target *t, struct error *err)
{
	for (unsigned i = 0; i < t->takers; i++) {
		struct taker *k = &t->taker[i];
		int rc;

		k->t = t;
		rc = pthread_create(&k->thread, NULL, taker_main, k);
		if (rc)
			return error_set(err, rc,
				"cannot start a receiving thread: %s",
				strerrordesc_np(rc));
		k->started = true;
		pthread_setname_np(k->thread, "receiver");
	}
	return 0;
}

void target_end_takers(struct target *t)
{
	for (unsigned i = 0; i < t->takers; i++) {
		struct taker *k = &t->taker[i];

		if (k->started)
			pthread_join(k->thread, NULL);
		k->started = false;
	}
}

int target_receive(struct target *t, struct error *err)
{
	int rc = start_takers(t, err);

	if (!rc)
		rc = take(t, &t->main, err);
	/* After a failure they end with their connections (target_fail()) */
	if (!rc)
		target_end_takers(t);
	return rc;
}
