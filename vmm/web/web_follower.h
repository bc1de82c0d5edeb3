/* SPDX-License-Identifier: MIT */
/*
 * web_follower.h - A thread that follows one machine over QMP
 *
 * It queries the machine's state several times a second, hands changes and
 * events to the main thread, and runs commands in between. It is the only user
 * of its connection. A machine that hangs delays its own follower only.
 */
#ifndef FERRY_WEB_FOLLOWER_H
#define FERRY_WEB_FOLLOWER_H

#include <jansson.h>

#include "vmm/base/error.h"

/* Time for each query, ms */
#define FOLLOWER_TIMEOUT_MS	5000

struct loop;
struct web_follower;

/**
 * struct follower_events - What a follower reports, in the main thread
 * @ctx:	handed to each
 * @changed:	@what is "machine" (query-status), "migration" (query-migrate),
 *		"pages" (query-ferry-pages), "event", "console" or "times"; @value
 *		is a new reference, which the callee takes over. "console" is
 *		the path of the console socket. "times" is what query-migrate
 *		has returned if only times of a paused migration differ, which
 *		pass while nothing happens
 * @ended:	the last call: the machine ended or is lost, @why says which
 */
struct follower_events {
	void *ctx;
	void (*changed)(void *ctx, const char *what, json_t *value);
	void (*ended)(void *ctx, const struct error *why);
};

/**
 * follower_done - The answer to a command, in the main thread
 * @ctx:	of follower_execute()
 * @ret:	what it returned, NULL if it failed; borrowed
 * @err:	why it failed
 */
typedef void follower_done(void *ctx, json_t *ret, const struct error *err);

/**
 * follower_new() - Start to follow a machine
 * @loop:	main thread's loop, where all reports arrive
 * @control:	path of its control socket
 * @events:	copied
 * @err:	why not
 *
 * Return: the follower, or NULL
 */
struct web_follower *follower_new(struct loop *loop, const char *control,
				  const struct follower_events *events,
				  struct error *err);

/**
 * follower_execute() - Run a command on the machine
 * @f:		the follower
 * @command:	a literal
 * @args:	its arguments, taken over, or NULL
 * @ms:		how long the machine may take; then it counts as lost
 * @done:	receives the answer, exactly once, unless the follower is freed
 *		before: then it is called by follower_free()
 * @ctx:	for @done
 */
void follower_execute(struct web_follower *f, const char *command,
		      json_t *args, int ms, follower_done *done, void *ctx);

/**
 * follower_watch() - Set how often the machine is queried
 * @f:		the follower
 * @viewed:	a page is open: query several times a second; else once a second
 * @whole:	report all state once more, changed or not
 */
void follower_watch(struct web_follower *f, bool viewed, bool whole);

/**
 * follower_free() - End the thread; no report follows
 * @f:		the follower, or NULL
 *
 * A command that the machine has not answered fails. Waits for a connection
 * that is being opened, at most FOLLOWER_TIMEOUT_MS.
 */
void follower_free(struct web_follower *f);

#endif /* FERRY_WEB_FOLLOWER_H */
