/* SPDX-License-Identifier: MIT */
/*
 * sched.h - Threads as coroutines, under a scheduler and a clock of the seed
 *
 * All code of a run executes on one operating-system thread. A "thread" of the
 * code under test is a coroutine. It gives up the processor where it would
 * block (a mutex, a condition, a descriptor, a sleep), and at other calls by
 * chance. The next one is chosen by the seed's random numbers. The clock is
 * virtual: each turn costs a little, and when every coroutine waits it jumps to
 * the next deadline. So a seed always gives the same run, whatever the machine
 * does, and waits of seconds cost nothing.
 *
 * A rule that is broken is reported by sim_fail(), which ends the run.
 */
#ifndef FERRY_TESTS_SIM_SCHED_H
#define FERRY_TESTS_SIM_SCHED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NEVER		UINT64_MAX
#define US		1000ull		/* ns */
#define MS		1000000ull	/* ns */
#define SECOND		1000000000ull	/* ns */

/* Whose thread it is: a process that can crash alone */
enum side { SIDE_NONE, SIDE_SOURCE, SIDE_TARGET, SIDES };

/**
 * struct co - A coroutine
 * @id:		number in this run, from 1
 * @side:	the process it belongs to
 * @name:	for the trace
 * @tid:	what gettid() returns in it
 */
struct co;

/** sched_begin() - Forget the last run, and begin one with a seed */
void sched_begin(uint64_t seed);

/** sched_end() - Drop all coroutines, wherever they are */
void sched_end(void);

/**
 * sched_run() - Run coroutines until the run is over, or has failed
 * @check:	called after each turn
 * @done:	set by a coroutine: the run is over
 * @limit:	virtual time at which a run counts as endless, ns
 */
void sched_run(void (*check)(void), const bool *done, uint64_t limit);

/** sched_digest() - A number that another run of the same seed gives, too */
uint64_t sched_digest(void);

/** sched_now() - Virtual time since the start, ns */
uint64_t sched_now(void);

/** sched_spawn() - A new coroutine. Return: it, or NULL: there are too many */
struct co *sched_spawn(void *(*fn)(void *), void *arg, enum side side,
		       const char *name);

/** sched_name() - Name a coroutine */
void sched_name(struct co *c, const char *name);

/** sched_by_id() - The coroutine with a number, or NULL if it was joined */
struct co *sched_by_id(unsigned id);

/** sched_id() - The number of a coroutine */
unsigned sched_id(const struct co *c);

/** sched_side() - The side of the coroutine that runs; SIDE_NONE outside */
enum side sched_side(void);

/** sched_self() - The coroutine that runs, or NULL */
struct co *sched_self(void);

/**
 * sched_join() - Wait until a coroutine has ended, and forget it
 * @c:		the coroutine
 * @result:	set to what its function returned; may be NULL
 */
void sched_join(struct co *c, void **result);

/** sched_detach() - Forget it as soon as it has ended */
void sched_detach(struct co *c);

/** sched_kill() - Drop all coroutines of a side: its process has crashed */
void sched_kill(enum side side);

/** sched_relabel() - The process of a side is the other side's from now on */
void sched_relabel(enum side from, enum side to);

/**
 * sched_delay() - The coroutine that ran last does not run for a while
 * @ns:		virtual time
 *
 * Called by sched_run()'s @check. A coroutine that waits already is not late.
 */
void sched_delay(uint64_t ns);

/** sched_switch_often() - In this run others may run at each sched_point() */
void sched_switch_often(void);

/** sched_yield_now() - Others may run */
void sched_yield_now(void);

/** sched_point() - Others may run, by chance; keeps errno */
void sched_point(void);

/**
 * sched_wait() - Wait until sched_wake() names the same object
 * @on:		the object; NULL for a sleep
 * @what:	kind of wait, for the report of a deadlock
 * @deadline:	virtual time, ns; NEVER
 *
 * Return: false if the deadline came first
 */
bool sched_wait(const void *on, const char *what, uint64_t deadline);

/** sched_wake() - Wake those that wait for an object: all, or one by chance */
void sched_wake(const void *on, bool all);

/** sched_live() - Number of coroutines of a side that have not ended */
unsigned sched_live(enum side side);

/* ---- Random numbers of the seed ---- */

/** sim_random() - 64 random bits */
uint64_t sim_random(void);

/** sim_below() - A random number below @n, which is not 0 */
uint64_t sim_below(uint64_t n);

/** sim_chance() - True once in @n times on average */
bool sim_chance(unsigned n);

/** sim_log() - A random number up to @n; each order of magnitude as often */
uint64_t sim_log(uint64_t n);

/* ---- Reports ---- */

/** sim_fail() - A rule is broken; the first call in a run counts */
void sim_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** sim_failed() - Has the run failed? */
bool sim_failed(void);

/** sim_failure() - The text of the failure, or NULL */
const char *sim_failure(void);

/** sim_set_trace() - Record events from now on: they cost time */
void sim_set_trace(bool on);

/** sim_trace() - An event, if events are recorded */
void sim_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** sim_print_trace() - Print the last @n events to standard output */
void sim_print_trace(unsigned n);

#endif /* FERRY_TESTS_SIM_SCHED_H */
