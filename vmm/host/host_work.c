// SPDX-License-Identifier: MIT
/*
 * host_work.c - Control commands that may take longer than some milliseconds
 *
 * A command takes the machine under the host's lock, and does not hold that lock
 * while it runs: the main thread needs it for every other command. Instead
 * host_set_machine() waits for the end of the command before its caller frees
 * the machine.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "host.h"
#include "host_work.h"
#include "vmm/base/thread.h"
#include "vmm/control/control.h"

/* A command; its answer is owed, if @later is set */
struct job {
	STAILQ_ENTRY(job) link;
	host_work_fn *fn;
	void *ctx;
	json_t *args;
	struct control_later *later;
};

/**
 * struct host_work - The thread and its queue
 * @host:	the host
 * @thread:	runs the commands
 * @lock:	protects all below; innermost
 * @changed:	signalled when any of it changes
 * @jobs:	commands that have not begun
 * @busy:	a command is being run
 * @stop:	the thread must end
 */
struct host_work {
	struct host *host;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	STAILQ_HEAD(job_queue, job) jobs;
	bool busy, stop;
};

static int run_job(struct host_work *w, struct job *j, json_t **ret,
		   struct error *err)
{
	struct host *h = w->host;
	struct machine *m;

	if (h->ending)
		return error_set(err, ECANCELED, "the machine is ending");
	pthread_mutex_lock(&h->lock);
	m = h->machine;
	pthread_mutex_unlock(&h->lock);
	return j->fn(j->ctx, m, j->args, ret, err);
}

static void finish_job(struct host_work *w, struct job *j)
{
	struct error err = { 0 };
	json_t *ret = NULL;
	int rc = run_job(w, j, &ret, &err);

	if (rc && !err.code)
		error_set(&err, -rc, "the command failed");
	/* Before the answer: it may be the last thing before the end */
	pthread_mutex_lock(&w->lock);
	w->busy = false;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (j->later)
		control_answer(j->later, ret, &err);
	else
		json_decref(ret);
	json_decref(j->args);
	free(j);
}

/* Return: the next command, or NULL when the thread must end */
static struct job *take_job(struct host_work *w)
{
	struct job *j;

	pthread_mutex_lock(&w->lock);
	while (STAILQ_EMPTY(&w->jobs) && !w->stop)
		pthread_cond_wait(&w->changed, &w->lock);
	j = STAILQ_FIRST(&w->jobs);
	if (j)
		STAILQ_REMOVE_HEAD(&w->jobs, link);
	w->busy = j;
	pthread_mutex_unlock(&w->lock);
	return j;
}

static void *work_main(void *arg)
{
	struct host_work *w = arg;
	struct job *j;
	sigset_t bus;

	/* MADV_HWPOISON raises SIGBUS on the thread that calls it */
	sigemptyset(&bus);
	sigaddset(&bus, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &bus, NULL);
	while ((j = take_job(w)))
		finish_job(w, j);
	return NULL;
}

struct host_work *host_work_new(struct host *h, const char *name,
				struct error *err)
{
	struct host_work *w = calloc(1, sizeof(*w));
	int rc;

	if (!w) {
		error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	w->host = h;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	STAILQ_INIT(&w->jobs);
	rc = thread_start(&w->thread, name, work_main, w);
	if (!rc)
		return w;
	error_set(err, -rc, "cannot start the thread '%s': %s", name,
		  strerrordesc_np(-rc));
	free(w);
	return NULL;
}

int host_work_add(struct host_work *w, host_work_fn *fn, void *ctx,
		  json_t *args, struct control_later *later, struct error *err)
{
	struct job *j = malloc(sizeof(*j));
	/* Another thread must not share a reference with the message */
	json_t *copy = json_deep_copy(args);

	/* Without memory jansson may leave out a member */
	if (!j || (args && !json_equal(copy, args))) {
		json_decref(copy);
		free(j);
		return error_set(err, ENOMEM, "out of memory for the command");
	}
	*j = (struct job){ .fn = fn, .ctx = ctx, .args = copy, .later = later };
	pthread_mutex_lock(&w->lock);
	STAILQ_INSERT_TAIL(&w->jobs, j, link);
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

bool host_work_busy(struct host_work *w)
{
	bool busy;

	if (!w)
		return false;
	pthread_mutex_lock(&w->lock);
	busy = w->busy;
	pthread_mutex_unlock(&w->lock);
	return busy;
}

void host_work_wait(struct host_work *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	while (w->busy)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

void host_work_free(struct host_work *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
