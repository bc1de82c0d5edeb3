/* SPDX-License-Identifier: MIT */
/*
 * greeter.h - The listener of a destination, and connections that say HELLO
 *
 * One thread accepts connections and receives the HELLO of up to GREETINGS_MAX
 * of them at the same time, each within one total deadline and in a buffer of
 * fixed size: a peer that sends nothing, or single bytes, delays no other.
 * When all places are taken the oldest greeting is closed for a new connection.
 * The owner accepts or rejects a complete HELLO; anything else is refused, and
 * is no session.
 */
#ifndef FERRY_GREETER_H
#define FERRY_GREETER_H

#include "channel.h"
#include "vmm/base/uri.h"

#define GREETINGS_MAX	16

struct greeter;

/**
 * greeter_fn - A connection has said HELLO
 * @ctx:	the owner's
 * @c:		the connection
 * @h:		what it said: version, magic and page size are right
 * @err:	set to the reason for REFUSE
 *
 * Called by the greeter's thread; must not wait.
 *
 * Return: 0: @c was taken over. -EAGAIN: call again soon, until the deadline of
 *	   the greeting. Other -errno: the greeter refuses and closes it
 */
typedef int greeter_fn(void *ctx, const struct channel *c,
		       const struct wire_hello *h, struct error *err);

/**
 * greeter_new() - Listen
 * @u:		where
 * @hello_ms:	total time that a connection has for its HELLO, ms; read each
 *		time a connection is accepted
 * @fn:		called for each HELLO
 * @ctx:	for @fn
 * @err:	why not
 *
 * Return: it, or NULL
 */
struct greeter *greeter_new(const struct uri *u,
			    const _Atomic unsigned *hello_ms, greeter_fn *fn,
			    void *ctx, struct error *err);

/**
 * greeter_stop() - Stop listening; any thread, also @fn's owner's
 * @g:		it, or NULL
 *
 * Does not wait for the thread: greeter_free() does.
 */
void greeter_stop(struct greeter *g);

/** greeter_free() - Stop listening, end the thread, free all; NULL is fine */
void greeter_free(struct greeter *g);

#endif /* FERRY_GREETER_H */
