/* SPDX-License-Identifier: MIT */
/*
 * thread.h - Threads and mutexes
 *
 * Threads that thread_start() starts handle no signal: SIGTERM and SIGINT
 * belong to the main thread, SIGBUS to the threads that access guest memory.
 */
#ifndef FERRY_THREAD_H
#define FERRY_THREAD_H

#include <pthread.h>

/**
 * thread_start() - Start a thread with all signals blocked
 * @id:		receives the thread
 * @name:	shown by ps -L and in /proc; at most 15 characters
 * @fn:		runs in the thread
 * @arg:	its argument
 *
 * Return: 0, -errno of pthread_create(3)
 */
int thread_start(pthread_t *id, const char *name, void *(*fn)(void *),
		 void *arg);

/**
 * thread_mutex_init() - Initialize a mutex with priority inheritance
 * @m:		the mutex
 *
 * While a SCHED_FIFO thread waits for it, the thread that holds it runs at that
 * priority, and is not preempted by threads of lower priority.
 */
void thread_mutex_init(pthread_mutex_t *m);

/**
 * thread_finish() - Join a thread, or cancel it at a deadline
 * @id:		the thread, already asked to end; it must be cancellable
 *		(pthread_cancel(3)) wherever it can block
 * @ms:		how long to wait before the thread is cancelled
 *
 * Return: 0, -ETIMEDOUT if the thread was cancelled
 */
int thread_finish(pthread_t id, unsigned ms);

#endif /* FERRY_THREAD_H */
