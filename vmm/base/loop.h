/* SPDX-License-Identifier: MIT */
/*
 * loop.h - The main thread's event loop, and calls into it from other threads
 *
 * libevent runs everything that is not a hot path: control connections,
 * timers, signals. Only the main thread uses the event_base; every other
 * thread posts calls to it with loop_post(). Callbacks are short and never wait
 * for a peer or for guest memory.
 */
#ifndef FERRY_LOOP_H
#define FERRY_LOOP_H

#include "error.h"

struct event_base;
struct loop;

typedef void loop_fn(void *arg);

/**
 * loop_new() - Create the loop
 * @err:	the cause of a failure
 *
 * Return: the loop, to be freed with loop_free(), or NULL
 */
struct loop *loop_new(struct error *err);

/**
 * loop_base() - The libevent base, for sockets, timers and signals
 * @l:		the loop
 *
 * Return: the base; only the main thread may use it
 */
struct event_base *loop_base(struct loop *l);

/**
 * loop_post() - Have the main thread call a function
 * @l:		the loop
 * @fn:		called in the order of posting
 * @arg:	its argument, owned by @fn from now on
 *
 * Any thread; never blocks. A call that is posted after the loop ended is made
 * by loop_drain() or loop_free(), so that @arg is never lost.
 *
 * Return: 0, -ENOMEM: then @fn is not called
 */
int loop_post(struct loop *l, loop_fn *fn, void *arg);

/**
 * loop_run() - Run until loop_stop()
 * @l:		the loop
 *
 * Return: the status given to loop_stop()
 */
int loop_run(struct loop *l);

/**
 * loop_stop() - End loop_run() after the current callbacks
 * @l:		the loop
 * @status:	returned by loop_run(); only the first call sets it
 *
 * Any thread.
 */
void loop_stop(struct loop *l, int status);

/**
 * loop_drain() - Make the calls that were posted after loop_run() ended
 * @l:		the loop
 */
void loop_drain(struct loop *l);

/**
 * loop_free() - Make the calls that are still posted, and free the loop
 * @l:		the loop, or NULL
 */
void loop_free(struct loop *l);

#endif /* FERRY_LOOP_H */
