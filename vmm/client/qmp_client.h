/* SPDX-License-Identifier: MIT */
/*
 * qmp_client.h - A blocking QMP client
 *
 * For the subcommands that talk to machines, one connection each. Every wait
 * has a deadline. Events that arrive before an answer are kept, in order, for
 * qmp_next_event().
 */
#ifndef FERRY_QMP_CLIENT_H
#define FERRY_QMP_CLIENT_H

#include <jansson.h>

#include "vmm/base/error.h"

/* Time that a machine may take to answer, in ms, unless said otherwise */
#define QMP_TIMEOUT_MS 10000
/* For each page of ferry-poison: they are poisoned one by one */
#define QMP_POISON_MS 10

struct qmp_client;

/**
 * qmp_open() - Connect, receive the greeting, negotiate
 * @name:	machine's name for error texts, or NULL if only @path is known
 * @path:	of its control socket
 * @timeout_ms:	for this, and for every answer later
 * @err:	the cause of a failure
 *
 * @err->code is ENOENT if there is no socket, ECONNREFUSED if no process
 * listens on it, EACCES if another user owns it, ETIMEDOUT if the machine does
 * not answer, EPROTO if the answer is not QMP.
 *
 * Return: the client, or NULL
 */
struct qmp_client *qmp_open(const char *name, const char *path,
			    int timeout_ms, struct error *err);

/**
 * qmp_connect() - Connect to a socket of a machine
 * @label:	what listens there, for error texts
 * @path:	of the socket
 * @timeout_ms:	for this, and for every send(2) later; -1 for no limit
 * @err:	the cause of a failure, with a code as qmp_open() has it
 *
 * Return: the socket, or -errno
 */
int qmp_connect(const char *label, const char *path, int timeout_ms,
		struct error *err);

/** qmp_timeout() - Change the time for every answer; -1 for no limit */
void qmp_timeout(struct qmp_client *q, int timeout_ms);

/**
 * qmp_watch() - Let a descriptor end the wait for events
 * @q:		the client
 * @fd:		qmp_next_event() returns when it is readable, e.g. a signalfd;
 *		-1 for none
 */
void qmp_watch(struct qmp_client *q, int fd);

/**
 * qmp_execute() - Run a command, and wait for its answer
 * @q:		the client
 * @command:	e.g. "query-status"
 * @args:	its arguments, whose reference is taken over, or NULL
 * @ret:	receives what it returned (a new reference), NULL if it failed;
 *		NULL to drop it
 * @err:	the cause of a failure: the machine's own text if it refused
 *
 * Return: 0, -EREMOTEIO (the machine refused), -ENOSYS (it does not know the
 *	   command), -ETIMEDOUT, -ECONNRESET (the connection ended), -ESHUTDOWN
 *	   (it ended after the event SHUTDOWN), -EPROTO
 */
int qmp_execute(struct qmp_client *q, const char *command, json_t *args,
		json_t **ret, struct error *err);

/**
 * qmp_next_event() - Wait for an event
 * @q:		the client
 * @timeout_ms:	time to wait; -1 for no limit
 * @event:	receives it (a new reference); NULL unless 0 is returned
 * @err:	the cause why the connection is lost
 *
 * Return: 0, -ETIMEDOUT (no event; @err is not set), -EINTR (the watched
 *	   descriptor is readable; @err is not set), -ECONNRESET (the
 *	   connection ended, and events may be missing), -ESHUTDOWN (it ended
 *	   after the event SHUTDOWN), -EPROTO
 */
int qmp_next_event(struct qmp_client *q, int timeout_ms, json_t **event,
		   struct error *err);

/** qmp_cut() - End all waits, now and later, as if the machine had closed the
 *	       connection; any thread
 */
void qmp_cut(struct qmp_client *q);

/** qmp_close() - Disconnect; @q may be NULL */
void qmp_close(struct qmp_client *q);

#endif /* FERRY_QMP_CLIENT_H */
