/* SPDX-License-Identifier: MIT */
/*
 * control.h - QMP on a Unix socket
 *
 * The server side of QEMU's monitor protocol: greeting, qmp_capabilities,
 * execute/arguments/id, return, error, event. The commands themselves are
 * registered by the modules that implement them, as tables.
 */
#ifndef FERRY_CONTROL_H
#define FERRY_CONTROL_H

#include <stdint.h>

#include <jansson.h>

#include "vmm/base/error.h"

/* Events that wait for the main thread, at most */
#define CONTROL_EVENTS_MAX 16384

struct control;
struct loop;

/**
 * control_fn - Runs a command
 * @ctx:	the context registered with the table
 * @args:	"arguments" object, never NULL (empty if there were none)
 * @ret:	receives the answer (a new reference); unchanged means {}
 * @err:	the cause of a failure, sent to the client as the error's "desc"
 *
 * Runs on the main thread, and must be short.
 *
 * Return: 0, or -errno with @err set
 */
typedef int control_fn(void *ctx, json_t *args, json_t **ret,
		       struct error *err);

/* An answer that a command owes to its client */
struct control_later;

/**
 * control_start_fn - Starts a command that takes too long for the main thread
 * @ctx:	the context registered with the table
 * @args:	as for control_fn
 * @later:	the answer that is owed from now on: see control_answer()
 * @err:	the cause why it can't start
 *
 * Runs on the main thread, and must be short. Until the answer is given, no
 * further command of that client is run; other clients are served.
 *
 * Return: 0, or -errno with @err set: then no answer is owed
 */
typedef int control_start_fn(void *ctx, json_t *args,
			     struct control_later *later, struct error *err);

/**
 * struct control_command - One command
 * @name:	e.g. "query-status"
 * @args:	the arguments it takes: "name:s", "count:i", "x:b", "o:o"
 *		(string, integer, boolean, object or array), separated by
 *		spaces, with '?' in front if optional: "uri:s ?detach:b". Any other
 *		argument is refused by name, before the command runs
 * @fn:		runs it; or
 * @start:	starts it, if it is answered later
 */
struct control_command {
	const char *name;
	const char *args;
	control_fn *fn;
	control_start_fn *start;
};

/**
 * control_open() - Listen on a control socket
 * @loop:	the loop that runs it
 * @path:	of the socket, as for unix_socket_open()
 * @err:	the cause of a failure
 *
 * Return: the control, or NULL
 */
struct control *control_open(struct loop *loop, const char *path,
			     struct error *err);

/**
 * control_add() - Register commands
 * @c:		the control
 * @table:	ends with a NULL name; must live as long as @c
 * @ctx:	passed to each command
 */
void control_add(struct control *c, const struct control_command *table,
		 void *ctx);

/**
 * control_answer() - Give the answer that is owed; exactly once
 * @later:	the answer owed; not to be used again
 * @ret:	the answer, whose reference is taken over; NULL means {}
 * @err:	with a code set: the command failed for this reason; copied
 *
 * Any thread. If the client disconnected meanwhile, the answer is dropped.
 */
void control_answer(struct control_later *later, json_t *ret,
		    const struct error *err);

/**
 * control_event() - Send an event to every client
 * @c:		the control, or NULL: then nothing is sent
 * @name:	QMP event name, a literal
 * @data:	its data object, whose reference is taken over; or NULL
 *
 * Any thread; never waits for a client or for the main thread. Clients receive
 * the events of one thread in order, with the time of this call as the
 * timestamp. An event that finds CONTROL_EVENTS_MAX others waiting for the main
 * thread is dropped; the clients receive an event FERRY_EVENTS_LOST in its
 * place.
 */
void control_event(struct control *c, const char *name, json_t *data);

/** control_events_lost() - How many events were dropped so far, in all */
uint64_t control_events_lost(struct control *c);

/**
 * control_close() - Disconnect all clients, and remove the socket
 * @c:		the control, or NULL
 *
 * Sends what the sockets of the clients take without blocking.
 */
void control_close(struct control *c);

#endif /* FERRY_CONTROL_H */
