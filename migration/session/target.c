// SPDX-License-Identifier: MIT
/*
 * target.c - The side that a guest arrives at
 *
 * Listens in a thread of its own and walks through the stages with whoever
 * connects. Until the source was told that the machine is prepared, a failure throws
 * everything away, and the next source may try. After that it is in doubt whether
 * the source has committed: the machine is kept, and does not run until it has
 * heard so (invariant 5). After the commit a lost connection keeps all there is.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migration/pages/huge.h"
#include "mutant.h"
#include "stages.h"
#include "target.h"
#include "vmm/base/log.h"
#include "vmm/memory/uffd.h"

#define HELLO_MS	10000	/* for who connects to say who it is */
#define ACCEPT_AGAIN_US	100000	/* out of descriptors, say */

void target_end_pager(struct target *t)
{
	t->ending = true;
	target_wake_pager(t);
	if (t->pager_started)
		pthread_join(t->pager, NULL);
	t->pager_started = false;
}

void target_close_uffd(struct target *t)
{
	pthread_mutex_lock(&t->hook_lock);
	if (t->uffd >= 0)
		close(t->uffd);
	t->uffd = -1;
	pthread_mutex_unlock(&t->hook_lock);
}

void target_drop_received(struct target *t)
{
	free(t->state);
	free(t->poison);
	free(t->zero);
	t->state = t->poison = t->zero = NULL;
}

static void walk(struct target *t, struct error *err)
{
	int rc = 0;

	for (const struct stage *st = stages; st->name && !rc; st++) {
		job_stage(t->job, st->name);
		if (t->stop && !t->committed)
			rc = error_set(err, ECANCELED, "this side is ending");
		else if (st->target)
			rc = st->target(t, err);
	}
}

/*
 * Loading state may wait for a page that doesn't come any more. Until the
 * source was told that we are prepared, all of it is thrown away, so whoever
 * waits may go on with zeroes: that machine never runs.
 */
static void let_loader_go(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	t->broken |= !t->prepared;
	pthread_mutex_unlock(&t->lock);
	pthread_mutex_lock(&t->hook_lock);
	if (t->broken && t->uffd >= 0)
		uffd_unregister(t->uffd, machine_ram(t->m)->base, machine_ram(t->m)->size);
	pthread_mutex_unlock(&t->hook_lock);
}

static void show_lost(struct target *t)
{
	static const enum run_reason from[] = {
		WHY_POSTCOPY, WHY_USER, WHY_UNPAUSED,
	};

	for (size_t i = 0; t->committed && i < ARRAY_SIZE(from); i++)
		machine_set_reason(t->m, from[i], WHY_POSTCOPY_FAILED);
	job_set(t->job, JOB_PAUSED, NULL);
}

static void shut_all(struct target *t)
{
	channel_shut(&t->main);
	channel_shut(&t->demand);
	for (unsigned i = 0; i < t->takers; i++)
		channel_shut(&t->taker[i].c);
}

void target_fail(struct target *t, const struct error *why)
{
	bool first;

	if (t->ending)
		return;
	pthread_mutex_lock(&t->lock);
	first = t->prepared && !t->failed;
	t->failed |= first;
	if (first)
		job_blame(t->job, why);
	pthread_mutex_unlock(&t->lock);
	let_loader_go(t);

	shut_all(t);
	if (!first)
		return;
	log_line("migration paused: %s; what has arrived is kept here",
		 why->text);
	show_lost(t);
}

/* Throw away what a failed attempt left, to be ready for the next one */
static void start_over(struct target *t)
{
	target_end_pager(t);
	target_end_takers(t);
	pthread_mutex_lock(&t->lock);
	channel_close(&t->main);
	channel_close(&t->demand);
	for (unsigned i = 0; i < WIRE_PUSH_MAX; i++)
		channel_close(&t->taker[i].c);
	t->takers = 0;
	pthread_mutex_unlock(&t->lock);
	/* Whoever waits for a page gets a zero page now, and must not run with
	 * it. The machine goes last, since its end waits for who waits
	 */
	if (t->m)
		machine_halt(t->m);
	target_close_uffd(t);		/* from here on nobody else looks at the machine */
	machine_free(t->m);
	t->m = NULL;
	huge_free(t);
	pages_fini(&t->pages);
	target_drop_received(t);
	t->inflight.n = 0;
	t->prepared = t->broken = t->failed = t->ending = false;
	error_clear(&t->lost);
}

/* Return: true if another source may try */
static bool serve_one(struct target *t)
{
	struct error err = { 0 };

	job_begin(t->job, false);
	walk(t, &err);
	if (!err.code) {
		log_line("the guest has arrived whole");
		shutdown(t->listener, SHUT_RDWR);
		job_set(t->job, JOB_COMPLETED, NULL);
		return false;
	}
	if (t->prepared) {
		if (!t->committed)
			error_prefix(&err, "hand-over in doubt");
		target_fail(t, &err);
		/* The pager may have said so before, and this thread
		 * something else after it
		 */
		if (t->failed)
			show_lost(t);
		return false;
	}
	channel_refuse(&t->main, &err);
	log_line("incoming migration failed: %s; waiting for another",
		 err.text);
	job_set(t->job, JOB_FAILED, &err);
	start_over(t);
	return true;
}

static void *target_main(void *arg)
{
	struct target *t = arg;
	bool again = true;

	while (again && !t->stop) {
		struct error err = { 0 };
		int rc = channel_accept(&t->main, t->listener, -1, -1,
					HELLO_MS, &err);

		if (rc == -ECANCELED || t->stop)
			break;
		if (rc) {
			log_line("%s", err.text);
			usleep(ACCEPT_AGAIN_US);
		} else {
			again = serve_one(t);
		}
	}
	return NULL;
}

/*
 * What the handshake says of this kernel. Who may not open a userfaultfd at all hears
 * of that when it's opened, with the cure.
 */
static bool kernel_can_poison(void)
{
	if (uffd_has_poison() && !mutant("old-kernel"))
		return true;
	log_line("this kernel has no UFFDIO_POISON (Linux 6.6 or newer has): only a guest without lost memory, sent with --no-poison, can come here");
	return false;
}

struct target *target_new(struct host *h, struct job *job,
			  const struct uri *uri, struct error *err)
{
	struct target *t = calloc(1, sizeof(*t));
	int rc;

	if (!t) {
		error_set(err, ENOMEM, "out of memory for a migration");
		return NULL;
	}
	t->host = h;
	t->job = job;
	t->uri = *uri;
	t->main.fd = t->demand.fd = -1;
	for (unsigned i = 0; i < WIRE_PUSH_MAX; i++)
		t->taker[i].c.fd = -1;
	t->uffd = -1;
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_init(&t->inflight.lock, NULL);
	t->inflight.job = job;
	pthread_mutex_init(&t->hook_lock, NULL);
	t->can_poison = kernel_can_poison();
	t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->listener = channel_listen(uri, err);
	rc = t->listener < 0 ? t->listener
	     : pthread_create(&t->thread, NULL, target_main, t);
	if (rc) {
		error_set(err, rc < 0 ? -rc : rc,
			  "cannot start the incoming migration");
		target_free(t);
		return NULL;
	}
	t->started = true;
	pthread_setname_np(t->thread, "receiver");
	return t;
}

void target_disconnect(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	shut_all(t);
	pthread_mutex_unlock(&t->lock);
}

void target_free(struct target *t)
{
	if (!t)
		return;
	t->stop = t->ending = true;
	if (t->listener >= 0)
		shutdown(t->listener, SHUT_RDWR);
	target_disconnect(t);
	let_loader_go(t);
	if (t->started) {
		pthread_join(t->thread, NULL);
		/* It may have handed its machine over in this moment */
		host_set_machine(t->host, NULL);
	}
	start_over(t);
	if (t->listener >= 0)
		close(t->listener);
	if (t->uri.kind == URI_UNIX && t->listener >= 0)
		unlink(t->uri.path);
	close(t->wake);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->inflight.lock);
	pthread_mutex_destroy(&t->hook_lock);
	free(t);
}
