// SPDX-License-Identifier: MIT
/* reporter.c - Report what threads that vCPUs wait for have found */

#include <errno.h>
#include <string.h>

#include "reporter.h"

static void *reporter_main(void *arg)
{
	struct reporter *r = arg;

	for (;;) {
		while (sem_wait(&r->wake))
			;
		if (r->ending)
			return NULL;
		/* In this order: what is posted from here on wakes it again */
		r->due = false;
		r->report(r->ctx);
	}
}

int reporter_start(struct reporter *r, void (*report)(void *ctx), void *ctx,
		   struct error *err)
{
	int rc;

	if (r->started)
		return 0;
	r->report = report;
	r->ctx = ctx;
	r->ending = r->due = false;
	sem_init(&r->wake, 0, 0);
	rc = pthread_create(&r->thread, NULL, reporter_main, r);
	if (rc) {
		sem_destroy(&r->wake);
		return error_set(err, rc,
			"cannot start the thread that reports poison: %s",
			strerrordesc_np(rc));
	}
	pthread_setname_np(r->thread, "poison");
	r->started = true;
	return 0;
}

void reporter_wake(struct reporter *r)
{
	if (r->started && !atomic_exchange(&r->due, true))
		sem_post(&r->wake);
}

void reporter_end(struct reporter *r)
{
	if (!r->started)
		return;
	r->ending = true;
	sem_post(&r->wake);
	pthread_join(r->thread, NULL);
	sem_destroy(&r->wake);
	r->started = false;
	r->report(r->ctx);
}
