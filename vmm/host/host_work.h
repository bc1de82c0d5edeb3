/* SPDX-License-Identifier: MIT */
/*
 * host_work.h - Control commands that may take longer than some milliseconds
 *
 * A thread runs them, in the order of their arrival, and gives the answers. The
 * main thread serves all clients meanwhile. A process has three such threads:
 * "commands" for what uses the machine, "background" and "decisions" for
 * migration.c.
 */
#ifndef FERRY_HOST_WORK_H
#define FERRY_HOST_WORK_H

#include <stdbool.h>

#include <jansson.h>

#include "vmm/base/error.h"

struct control_later;
struct host;
struct host_work;
struct machine;

/**
 * host_work_fn - Runs a command, in the thread of the work
 * @ctx:	of host_work_add()
 * @m:		the host's machine, or NULL; in the host's own work it is not
 *		freed meanwhile, in any other work it may be
 * @args:	"arguments" object, a copy
 * @ret:	receives the answer, as for control_fn
 * @err:	the cause of a failure
 *
 * Return: 0, or -errno with @err set
 */
typedef int host_work_fn(void *ctx, struct machine *m, json_t *args,
			 json_t **ret, struct error *err);

/**
 * host_work_new() - Start the thread
 * @h:		the host
 * @name:	of the thread, a literal
 * @err:	the cause of a failure
 *
 * Return: the work, or NULL
 */
struct host_work *host_work_new(struct host *h, const char *name,
				struct error *err);

/**
 * host_work_add() - Run a command after those that were added before
 * @w:		the work
 * @fn:		the command
 * @ctx:	for @fn
 * @args:	its arguments; copied; may be NULL
 * @later:	receives the answer; NULL: no client waits for one
 * @err:	the cause of a failure
 *
 * Return: 0, -ENOMEM
 */
int host_work_add(struct host_work *w, host_work_fn *fn, void *ctx,
		  json_t *args, struct control_later *later, struct error *err);

/** host_work_busy() - Is a command being run? */
bool host_work_busy(struct host_work *w);

/**
 * host_work_wait() - Wait until the command that is being run has ended
 * @w:		the work, or NULL
 */
void host_work_wait(struct host_work *w);

/**
 * host_work_free() - Fail the commands that have not begun; end the thread
 * @w:		the work, or NULL
 *
 * Call it while the control is open. Waits for the command that is being run;
 * in the host's own work that has ended once the machine has been withdrawn
 * (host_set_machine()).
 */
void host_work_free(struct host_work *w);

#endif /* FERRY_HOST_WORK_H */
