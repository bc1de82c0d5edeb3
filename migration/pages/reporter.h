/* SPDX-License-Identifier: MIT */
/*
 * reporter.h - The thread that reports what threads that vCPUs wait for have
 * found
 *
 * A report (log line, event) may wait for locks, and for threads that are
 * preempted. So the threads that move pages only post what they have found
 * (poison.h), and wake this one.
 */
#ifndef FERRY_REPORTER_H
#define FERRY_REPORTER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "vmm/base/error.h"

/**
 * struct reporter - See above; zeroed: not started
 * @report, @ctx: what the thread calls
 * @thread, @started: the thread, while there is one
 * @wake:	eventfd that it waits for
 * @due:	something was posted since it began to report
 * @ending:	the thread shall end
 */
struct reporter {
	void (*report)(void *ctx);
	void *ctx;
	pthread_t thread;
	bool started;
	int wake;
	_Atomic bool due, ending;
};

/**
 * reporter_start() - Create the thread; fine if it is there
 * @r:		the reporter
 * @report:	reports all that was posted
 * @ctx:	for @report
 * @err:	why not
 *
 * Return: 0, -errno
 */
int reporter_start(struct reporter *r, void (*report)(void *ctx), void *ctx,
		   struct error *err);

/**
 * reporter_wake() - Something was posted: @report will be called
 * @r:		the reporter; nothing happens if it was not started
 *
 * Waits for no thread. Any thread, but not after reporter_end() has begun.
 */
void reporter_wake(struct reporter *r);

/**
 * reporter_end() - End the thread, and report what is left
 * @r:		the reporter; no thread posts any more. Fine if not started
 */
void reporter_end(struct reporter *r);

#endif /* FERRY_REPORTER_H */
