// SPDX-License-Identifier: MIT
/*
 * threads.c - pthreads, clocks and sleeps of the code under test
 *
 * The linker's --wrap sends the calls here. A mutex and a condition keep what
 * they need in the memory of the pthread type; all zeroes is a free mutex.
 */

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plan.h"
#include "sched.h"
#include "wrap.h"

#define REALTIME_START	(1700000000ull * SECOND)
#define MONOTONIC_START	(1000ull * SECOND)	/* 0 means "never" in places */
#define DESTROYED	0xdead
#define SPURIOUS_ODDS	50

struct sim_mutex {
	unsigned owner;		/* sched_id(), 0: free */
	unsigned state;
};

struct sim_cond {
	clockid_t clock;
	unsigned state;
};

_Static_assert(sizeof(struct sim_mutex) <= sizeof(pthread_mutex_t), "mutex");
_Static_assert(sizeof(struct sim_cond) <= sizeof(pthread_cond_t), "cond");

static struct sim_mutex *mutex_of(pthread_mutex_t *m)
{
	return (struct sim_mutex *)(void *)m;
}

static struct sim_cond *cond_of(pthread_cond_t *c)
{
	return (struct sim_cond *)(void *)c;
}

static unsigned self_id(void)
{
	return sched_self() ? sched_id(sched_self()) : ~0u;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a)
{
	(void)a;
	memset(m, 0, sizeof(*m));
	return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *m)
{
	if (mutex_of(m)->owner)
		sim_fail("a locked mutex is destroyed");
	mutex_of(m)->state = DESTROYED;
	return 0;
}

static void mutex_take(pthread_mutex_t *m)
{
	struct sim_mutex *x = mutex_of(m);

	if (x->state == DESTROYED)
		sim_fail("a destroyed mutex is locked");
	if (x->owner == self_id())
		sim_fail("a thread locks a mutex that it has locked");
	while (x->owner)
		sched_wait(m, "a mutex", NEVER);
	x->owner = self_id();
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
	sched_point();
	mutex_take(m);
	return 0;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *m)
{
	sched_point();
	if (mutex_of(m)->owner)
		return EBUSY;
	mutex_take(m);
	return 0;
}

static void mutex_drop(pthread_mutex_t *m)
{
	if (mutex_of(m)->owner != self_id())
		sim_fail("a thread unlocks a mutex that it has not locked");
	mutex_of(m)->owner = 0;
	sched_wake(m, false);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *m)
{
	mutex_drop(m);
	sched_point();
	return 0;
}

int __wrap_pthread_condattr_setclock(pthread_condattr_t *a, clockid_t clock)
{
	memcpy(a, &clock, sizeof(*a) < sizeof(clock) ? sizeof(*a)
						     : sizeof(clock));
	return 0;
}

int __wrap_pthread_condattr_init(pthread_condattr_t *a)
{
	memset(a, 0, sizeof(*a));
	return 0;
}

int __wrap_pthread_condattr_destroy(pthread_condattr_t *a)
{
	(void)a;
	return 0;
}

int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *a)
{
	memset(c, 0, sizeof(*c));
	if (a)
		memcpy(&cond_of(c)->clock, a, sizeof(*a));
	return 0;
}

int __wrap_pthread_cond_destroy(pthread_cond_t *c)
{
	cond_of(c)->state = DESTROYED;
	return 0;
}

static uint64_t clock_start(clockid_t clock)
{
	return clock == CLOCK_REALTIME ? REALTIME_START : MONOTONIC_START;
}

/* Return: virtual time, ns */
static uint64_t deadline_of(const struct timespec *t, clockid_t clock)
{
	uint64_t ns = (uint64_t)t->tv_sec * SECOND + (uint64_t)t->tv_nsec;

	if (t->tv_nsec < 0 || t->tv_nsec >= (long)SECOND)
		sim_fail("a deadline has %ld ns", t->tv_nsec);
	return ns > clock_start(clock) ? ns - clock_start(clock) : 0;
}

static int cond_wait(pthread_cond_t *c, pthread_mutex_t *m, uint64_t deadline)
{
	bool woken = true;

	if (cond_of(c)->state == DESTROYED)
		sim_fail("a destroyed condition is awaited");
	mutex_drop(m);
	/* pthread_cond_wait(3) may return without a cause */
	if (sim_chance(SPURIOUS_ODDS))
		sched_yield_now();
	else
		woken = sched_wait(c, "a condition", deadline);
	mutex_take(m);
	return woken ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	return cond_wait(c, m, NEVER);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
				  const struct timespec *t)
{
	return cond_wait(c, m, deadline_of(t, cond_of(c)->clock));
}

int __wrap_pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m,
				  clockid_t clock, const struct timespec *t)
{
	return cond_wait(c, m, deadline_of(t, clock));
}

int __wrap_pthread_cond_signal(pthread_cond_t *c)
{
	sched_wake(c, false);
	return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *c)
{
	sched_wake(c, true);
	return 0;
}

/* ---- Threads ---- */

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a,
			  void *(*fn)(void *), void *arg)
{
	int rc = plan_fails(CALL_THREAD);
	struct co *c;

	(void)a;
	if (rc)
		return rc;
	c = sched_spawn(fn, arg, sched_side(), "thread");
	if (!c) {
		sim_fail("too many threads");
		return EAGAIN;
	}
	*t = sched_id(c);
	sched_point();
	return 0;
}

static struct co *thread_of(pthread_t t)
{
	struct co *c = sched_by_id((unsigned)t);

	if (!c)
		sim_fail("thread %lu was joined before", (unsigned long)t);
	return c;
}

int __wrap_pthread_join(pthread_t t, void **result)
{
	struct co *c = thread_of(t);

	if (c == sched_self())
		sim_fail("a thread joins itself");
	if (!c)
		return ESRCH;
	sched_join(c, result);
	return 0;
}

int __wrap_pthread_detach(pthread_t t)
{
	struct co *c = thread_of(t);

	if (c)
		sched_detach(c);
	return c ? 0 : ESRCH;
}

int __wrap_pthread_setname_np(pthread_t t, const char *name)
{
	struct co *c = thread_of(t);

	if (c)
		sched_name(c, name);
	return 0;
}

pthread_t __wrap_pthread_self(void)
{
	return self_id();
}

pid_t __wrap_gettid(void)
{
	return (pid_t)(10000 + self_id());
}

/* ---- Time ---- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	const uint64_t ns = clock_start(clock) + sched_now();

	t->tv_sec = (time_t)(ns / SECOND);
	t->tv_nsec = (long)(ns % SECOND);
	return 0;
}

int __wrap_usleep(useconds_t us)
{
	sched_wait(NULL, "a sleep", sched_now() + us * US);
	return 0;
}

int __wrap_nanosleep(const struct timespec *t, struct timespec *left)
{
	if (left)
		*left = (struct timespec){ 0 };
	sched_wait(NULL, "a sleep", sched_now() +
		   (uint64_t)t->tv_sec * SECOND + (uint64_t)t->tv_nsec);
	return 0;
}

int __wrap_sched_yield(void)
{
	sched_yield_now();
	return 0;
}

/* Priorities are the real kernel's business */
void __wrap_priority_raise(void)
{
}

void __wrap_priority_bulk(void)
{
}
