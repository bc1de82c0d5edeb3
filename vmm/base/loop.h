/* SPDX-License-Identifier: MIT */
/*
 * loop.h - The main thread's event loop, and the way into it
 *
 * libevent runs everything that is not a hot path: control connections,
 * timers, signals. Only the main thread uses the event_base; every other
 * thread hands it work with loop_post(). Callbacks are short and never wait
 * for a peer or for guest memory.
 */
#ifndef FERRY_LOOP_H
#define FERRY_LOOP_H

#include "error.h"

struct event_base;
struct loop;

typedef void loop_fn(void *arg);

/**
 * loop_new() - Make the loop
 * @err:	why not
 *
 * Return: the loop, to be freed with loop_free(), or NULL
 */
struct loop *loop_new(struct error *err);

/**
 * loop_base() - The libevent base, for control and for timers
 * @l:		the loop
 *
 * Return: the base; only the main thread may use it
 */
struct event_base *loop_base(struct loop *l);

/**
 * loop_post() - Have the main thread call a function soon
 * @l:		the loop
 * @fn:		what to call; calls keep the order they were posted in
 * @arg:	its argument, which @fn owns from then on
 *
 * Safe from any thread. What is posted after the loop ended is called by
 * loop_free(), so that @arg is never lost.
 *
 * Return: 0, -ENOMEM
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
 * @status:	what loop_run() returns; the first call's status wins
 *
 * Safe from any thread.
 */
void loop_stop(struct loop *l, int status);

/**
 * loop_drain() - Run what was posted behind the end of loop_run()
 * @l:		the loop
 */
void loop_drain(struct loop *l);

/**
 * loop_free() - Run what is still posted, and free the loop
 * @l:		the loop, or NULL
 */
void loop_free(struct loop *l);

#endif /* FERRY_LOOP_H */
