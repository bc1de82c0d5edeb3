// SPDX-License-Identifier: MIT
/*
 * loop.c - The main thread's event loop, and calls into it from other threads
 *
 * libevent is used without its thread support: only the main thread ever
 * calls it. Other threads append to a list under a mutex and write to an
 * eventfd, an event that is always registered. The write follows the unlock,
 * so that the main thread does not wake up only to wait for the mutex.
 *
 * The main thread takes the whole list at once and runs it unlocked. What a
 * posted function posts goes on a new list, which runs after other events.
 */

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "log.h"
#include "loop.h"
#include "thread.h"

/* A posted call */
struct post {
	struct post *next;
	loop_fn *fn;
	void *arg;
};

struct loop {
	struct event_base *base;
	struct event *wake;
	int fd;

	pthread_mutex_t lock;	/* protects all below; innermost */
	struct post *first;
	struct post **last;
	bool stopped;
	int status;
};

/* Take the list of posted calls; *stopped: loop_stop() was called before */
static struct post *loop_take(struct loop *l, bool *stopped)
{
	struct post *list;

	pthread_mutex_lock(&l->lock);
	list = l->first;
	l->first = NULL;
	l->last = &l->first;
	if (stopped)
		*stopped = l->stopped;
	pthread_mutex_unlock(&l->lock);
	return list;
}

/* Make the calls of a list, and free it */
static void loop_call(struct post *list)
{
	struct post *next;

	for (; list; list = next) {
		next = list->next;
		list->fn(list->arg);
		free(list);
	}
}

static void loop_wake(struct loop *l)
{
	uint64_t one = 1;

	/* EAGAIN: the counter is full, so the eventfd is readable anyway */
	while (write(l->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void loop_on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	uint64_t count;
	bool stopped;

	(void)what;
	/* Read before the list is taken: a later post wakes the loop again */
	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;

	loop_call(loop_take(l, &stopped));
	if (stopped)
		event_base_loopbreak(l->base);
}

/* Without it libevent writes to standard error, past the log */
static void loop_log(int severity, const char *text)
{
	if (severity >= EVENT_LOG_WARN)
		log_line("libevent: %s", text);
}

#define LIBEVENT_ABORT	((int)0xdeaddead)	/* of a failed assertion */

/* libevent would end the program by exit(3), or by abort() for a defect */
static void loop_fatal(int status)
{
	log_stop();
	if (status == LIBEVENT_ABORT)
		abort();
	_exit(status);
}

/* @l: zeroed, with @fd -1; loop_free() frees what was created */
static int loop_setup(struct loop *l, struct error *err)
{
	l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->fd < 0)
		return error_set(err, errno, "cannot create an eventfd: %m");

	event_set_log_callback(loop_log);
	event_set_fatal_callback(loop_fatal);
	l->base = event_base_new();
	if (!l->base)
		return error_set(err, ENOMEM,
				 "libevent cannot create an event base");

	l->wake = event_new(l->base, l->fd, EV_READ | EV_PERSIST,
			    loop_on_wake, l);
	if (!l->wake || event_add(l->wake, NULL))
		return error_set(err, ENOMEM,
				 "libevent cannot watch the eventfd");
	return 0;
}

struct loop *loop_new(struct error *err)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l) {
		error_set(err, ENOMEM, "out of memory for the event loop");
		return NULL;
	}
	l->fd = -1;
	l->last = &l->first;
	thread_mutex_init(&l->lock);

	if (loop_setup(l, err)) {
		loop_free(l);
		return NULL;
	}
	return l;
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

int loop_post(struct loop *l, loop_fn *fn, void *arg)
{
	struct post *p = malloc(sizeof(*p));

	if (!p)
		return -ENOMEM;

	*p = (struct post){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&l->lock);
	*l->last = p;
	l->last = &p->next;
	pthread_mutex_unlock(&l->lock);

	loop_wake(l);
	return 0;
}

int loop_run(struct loop *l)
{
	bool stopped;
	int status;

	pthread_mutex_lock(&l->lock);
	stopped = l->stopped;
	pthread_mutex_unlock(&l->lock);

	if (!stopped)
		event_base_dispatch(l->base);

	pthread_mutex_lock(&l->lock);
	status = l->status;
	pthread_mutex_unlock(&l->lock);
	return status;
}

void loop_stop(struct loop *l, int status)
{
	pthread_mutex_lock(&l->lock);
	if (!l->stopped)
		l->status = status;
	l->stopped = true;
	pthread_mutex_unlock(&l->lock);

	loop_wake(l);
}

void loop_drain(struct loop *l)
{
	struct post *list;

	/* A posted call may post another */
	while ((list = loop_take(l, NULL)))
		loop_call(list);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;

	loop_drain(l);
	if (l->wake)
		event_free(l->wake);
	if (l->base)
		event_base_free(l->base);
	if (l->fd >= 0)
		close(l->fd);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
