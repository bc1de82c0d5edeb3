/* SPDX-License-Identifier: MIT */
/*
 * control.h - QMP on a Unix socket
 *
 * The server half of QEMU's monitor protocol: greeting, qmp_capabilities,
 * execute/arguments/id, return, error, event. What the commands do is not
 * known here: whoever has commands registers a table of them.
 */
#ifndef FERRY_CONTROL_H
#define FERRY_CONTROL_H

#include <jansson.h>

#include "vmm/base/error.h"

struct control;
struct loop;

/**
 * control_fn - What a command does
 * @ctx:	the context registered with the table
 * @args:	"arguments" object, never NULL (empty if there were none)
 * @ret:	where to put the answer (a new reference); left alone means {}
 * @err:	the reason, shown to the client as the error's "desc"
 *
 * Runs on the main thread, and must be short.
 *
 * Return: 0, or -errno with @err set
 */
typedef int control_fn(void *ctx, json_t *args, json_t **ret,
		       struct error *err);

/* An answer that a command still owes to its client */
struct control_later;

/**
 * control_start_fn - Begins what takes longer than the main thread may wait
 * @ctx:	the context registered with the table
 * @args:	as for control_fn
 * @later:	the answer that is owed from then on: see control_answer()
 * @err:	why it can't begin
 *
 * Runs on the main thread, and must be short. Until it was answered no further
 * command of that client is looked at; the other clients notice nothing.
 *
 * Return: 0, or -errno with @err set: then nothing is owed
 */
typedef int control_start_fn(void *ctx, json_t *args,
			     struct control_later *later, struct error *err);

/**
 * struct control_command - One command
 * @name:	as the client says it, e.g. "query-status"
 * @args:	the arguments it takes: "name:s", "count:i", "x:b", "o:o"
 *		(string, integer, boolean, object/array), space separated, a '?' in front if
 *		optional, e.g. "uri:s ?detach:b"; anything else that a
 *		client sends is refused by name, before anything runs
 * @fn:		what it does; or
 * @start:	what begins it, if it is answered later
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
 * @path:	of the socket; a stale socket there (nobody listening) is
 *		replaced, a live one is refused as "in use". Made with mode 0600, its parent
 *		directory (only the last component) with 0700 if missing.
 * @err:	why not
 *
 * Return: the control, or NULL
 */
struct control *control_open(struct loop *loop, const char *path,
			     struct error *err);

/**
 * control_add() - Register commands
 * @c:		the control
 * @table:	ends with a NULL name; must live as long as @c
 * @ctx:	handed to each
 */
void control_add(struct control *c, const struct control_command *table,
		 void *ctx);

/**
 * control_answer() - Give the answer that is owed; exactly once
 * @later:	which; not to be touched again
 * @ret:	the answer, whose reference is taken over; NULL means {}
 * @err:	with a code: it failed, for this reason; copied
 *
 * Safe from any thread. A client that has gone meanwhile is no error.
 */
void control_answer(struct control_later *later, json_t *ret,
		    const struct error *err);

/**
 * control_event() - Tell every connected client
 * @c:		the control, or NULL (nothing is told)
 * @name:	QMP event name, a literal
 * @data:	its data object, whose reference is taken over; or NULL
 *
 * Safe from any thread. Clients see the events of one thread in order, with
 * the time of this call as the timestamp.
 */
void control_event(struct control *c, const char *name, json_t *data);

/**
 * control_close() - Flush what clients can still take, disconnect them, remove the socket
 * @c:		the control, or NULL
 */
void control_close(struct control *c);

#endif /* FERRY_CONTROL_H */
