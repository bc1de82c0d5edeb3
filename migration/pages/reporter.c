// SPDX-License-Identifier: MIT
/* reporter.c - Report what threads that vCPUs wait for have found */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "reporter.h"
#include "vmm/base/log.h"

/* Until reporter_signal(); an interrupted wait is one, too */
static void reporter_wait(struct reporter *r)
{
	struct pollfd p = { .fd = r->wake, .events = POLLIN };
	uint64_t n;

	poll(&p, 1, -1);
	if (read(r->wake, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_line("eventfd: %m");
}

static void reporter_signal(struct reporter *r)
{
	uint64_t one = 1;

	/* EAGAIN: it is about to look already */
	if (write(r->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_line("eventfd: %m");
}

static void *reporter_main(void *arg)
{
	struct reporter *r = arg;

	for (;;) {
		reporter_wait(r);
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
	r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = r->wake < 0 ? errno : pthread_create(&r->thread, NULL,
						  reporter_main, r);
	if (rc) {
		if (r->wake >= 0)
			close(r->wake);
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
		reporter_signal(r);
}

void reporter_end(struct reporter *r)
{
	if (!r->started)
		return;
	r->ending = true;
	reporter_signal(r);
	pthread_join(r->thread, NULL);
	close(r->wake);
	r->started = false;
	r->report(r->ctx);
}
