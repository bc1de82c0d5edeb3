// SPDX-License-Identifier: MIT
/* thread.c - Threads and mutexes */

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "thread.h"

int thread_start(pthread_t *id, const char *name, void *(*fn)(void *),
		 void *arg)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	sigdelset(&all, SIGSYS);	/* sandbox.h */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(id, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!rc)
		pthread_setname_np(*id, name);
	return -rc;
}

void thread_mutex_init(pthread_mutex_t *m)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(m, &attr);
	pthread_mutexattr_destroy(&attr);
}

int thread_finish(pthread_t id, unsigned ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000l;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	if (!pthread_timedjoin_np(id, NULL, &until))
		return 0;
	pthread_cancel(id);
	pthread_join(id, NULL);
	return -ETIMEDOUT;
}
