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
#include <sys/socket.h>
#include <unistd.h>

#include "migration/pages/mutant.h"
#include "stages.h"
#include "target.h"
#include "vmm/base/log.h"
#include "vmm/kvm/vcpu_stats.h"
#include "vmm/machine/vcpu.h"
#include "vmm/memory/uffd.h"

#define HELLO_MS	10000	/* for who connects to say who it is */
#define ACCEPT_AGAIN_US	100000	/* out of descriptors, say */

static unsigned target_vcpu_of(void *ctx, pid_t tid)
{
	struct target *t = ctx;

	for (unsigned i = 0; i < t->m->cfg.cpus; i++)
		if (t->m->vcpu[i].tid == tid)
			return i;
	return PAGE_STATS_OTHER;
}

static bool target_vcpu_blocked(void *ctx, unsigned vcpu)
{
	struct target *t = ctx;

	return vcpu_blocking(&t->m->vcpu[vcpu]);
}

/*
 * Between PREPARED and COMMIT only the main connection can tell what became of
 * the source: then this is remembered until it has
 */
static void target_demand_lost(void *ctx, const struct error *why)
{
	struct target *t = ctx;
	bool wait;

	pthread_mutex_lock(&t->lock);
	wait = t->prepared && !t->committed;
	if (wait && !t->lost.code)
		t->lost = *why;
	pthread_mutex_unlock(&t->lock);
	if (!wait)
		target_fail(t, why);
}

static void target_push_lost(void *ctx, const struct error *why)
{
	target_fail(ctx, why);
}

int target_start_faults(struct target *t, struct error *err)
{
	const struct fault_session fs = {
		.ctx = t, .vcpus = t->m->cfg.cpus, .vcpu_of = target_vcpu_of,
		.vcpu_blocked = target_vcpu_blocked,
		.lost = target_demand_lost,
	};

	return fault_start(&t->faults, &t->store, &t->demand, &fs, err);
}

static int target_poisoned(void *ctx, uint64_t gpa, uint64_t size,
			   bool delivered)
{
	struct target *t = ctx;
	struct poison p = { .gpa = gpa, .size = size, .delivered = delivered };
	struct memory_failure f = { .gpa = gpa, .size = size,
				    .action = MF_NOTED };
	int rc = poison_add(&t->m->poison, &p);

	if (rc > 0)
		machine_failure(t->m, &f);
	return rc < 0 ? rc : 0;
}

static void target_crash(void *ctx)
{
	struct target *t = ctx;

	machine_crash(t->m);
}

int target_inject(void *ctx, uint64_t offset, bool simulate,
		  struct error *err)
{
	struct target *t = ctx;

	return page_store_inject(&t->store, offset, simulate, err);
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
	if (t->broken)
		page_store_abandon(&t->store);
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
	for (unsigned i = 0; i < t->receive.n; i++)
		channel_shut(&t->pushed[i]);
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

	if (t->prepared)
		fault_cut(&t->faults);
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
	t->ending = true;
	fault_end(&t->faults);
	receive_end(&t->receive);
	pthread_mutex_lock(&t->lock);
	channel_close(&t->main);
	channel_close(&t->demand);
	for (unsigned i = 0; i < WIRE_PUSH_MAX; i++)
		channel_close(&t->pushed[i]);
	t->receive.n = 0;
	pthread_mutex_unlock(&t->lock);
	/* Whoever waits for a page gets a zero page now, and must not run with
	 * it. The machine goes last, since its end waits for who waits
	 */
	if (t->m)
		machine_halt(t->m);
	page_store_close(&t->store);	/* from here on nobody else looks at the machine */
	machine_free(t->m);
	t->m = NULL;
	target_drop_received(t);
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
	pthread_mutex_init(&t->lock, NULL);
	t->can_poison = kernel_can_poison();
	page_store_init(&t->store, &job->stats, &(struct page_store_events){
		.ctx = t, .poisoned = target_poisoned, .crash = target_crash,
	}, t->can_poison);
	receive_init(&t->receive, &t->store, target_push_lost, t);
	for (unsigned i = 0; i < WIRE_PUSH_MAX; i++) {
		t->pushed[i].fd = -1;
		t->receive.receiver[i].c = &t->pushed[i];
	}
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
	receive_fini(&t->receive);
	page_store_fini(&t->store);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
