/* SPDX-License-Identifier: MIT */
/*
 * greeter.h - The listener of a destination, and connections that say HELLO
 *
 * One thread accepts connections and receives the HELLO of up to GREETINGS_MAX
 * of them at the same time, each within one total deadline and in a buffer of
 * fixed size: a peer that sends nothing, or single bytes, delays no other. With
 * a tls: URI the handshake is part of the greeting. A connection uses at most
 * TLS_GREETING_BYTES of memory here until it has proved who it is, without TLS
 * less than 200 bytes, and the kernel's receive buffer, which does not grow
 * while no byte is read (tcp_rmem).
 * When all places are taken the oldest greeting is closed for a new connection.
 * The owner accepts or rejects a complete HELLO; anything else is refused, and
 * is no session.
 */
#ifndef FERRY_GREETER_H
#define FERRY_GREETER_H

#include "channel.h"
#include "socket.h"
#include "tls.h"
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
 * struct greeter_env - What a greeter needs of its owner
 * @hello_ms:	total time that a connection has for its TLS handshake and its
 *		HELLO, ms; read each time a connection is accepted
 * @tls:	for a tls: URI, and whether another is refused; read by
 *		greeter_new() only. NULL: the defaults
 * @fn:		called for each HELLO
 * @ending:	the process ends: greeter_new() gives up its wait for the name
 *		service; NULL: never
 * @ctx:	for both
 */
struct greeter_env {
	const _Atomic unsigned *hello_ms;
	const struct tls_config *tls;
	greeter_fn *fn;
	socket_stop_fn *ending;
	void *ctx;
};

/**
 * greeter_new() - Listen
 * @u:		where
 * @env:	the owner
 * @err:	why not
 *
 * Without TLS, a listener that other hosts can reach is reported in the log.
 *
 * Return: it, or NULL
 */
struct greeter *greeter_new(const struct uri *u, const struct greeter_env *env,
			    struct error *err);

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
