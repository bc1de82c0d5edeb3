// SPDX-License-Identifier: MIT
/*
 * qmp_client.c - A blocking QMP client
 *
 * A loop around qmp_link_next(): until the greeting, until the answer, until
 * an event. Commands carry a number as their id, so that the late answer to
 * one that was given up is not taken for the answer to the next.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qmp_client.h"
#include "qmp_link.h"

/**
 * struct qmp_client - A connection, and what is under way on it
 * @link:	the connection
 * @watch:	descriptor that ends a wait for events, or -1
 * @id:		of the last command
 * @events:	array of events not asked for yet
 */
struct qmp_client {
	struct qmp_link link;
	int watch;
	json_int_t id;
	json_t *events;
};

/**
 * is_late() - Is an answer for an earlier command?
 * @q:		the client
 * @msg:	the answer
 *
 * Return: true if it has an id, and not that of the last command
 */
static bool is_late(const struct qmp_client *q, const json_t *msg)
{
	const json_t *id = json_object_get(msg, "id");

	return id && json_integer_value(id) != q->id;
}

/**
 * next_answer() - Wait for a message that is no event
 * @q:		the client; events are kept in it
 * @msg:	where to put it
 * @err:	why not
 *
 * Return: 0, -ETIMEDOUT, -ECONNRESET, -EPROTO, -ENOMEM
 */
static int next_answer(struct qmp_client *q, json_t **msg, struct error *err)
{
	int64_t deadline = qmp_deadline(q->link.timeout_ms);
	int rc;

	for (;;) {
		rc = qmp_link_next(&q->link, -1, deadline, msg, err);
		if (rc == -ETIMEDOUT)
			return qmp_no_answer(&q->link, err);
		if (rc)
			return rc;
		if (json_object_get(*msg, "event"))
			json_array_append_new(q->events, *msg);
		else if (is_late(q, *msg))
			json_decref(*msg);
		else
			return 0;
	}
}

/**
 * judge_answer() - What an answer says
 * @q:		the client
 * @answer:	an object
 * @ret:	where to put what the command returned, or NULL
 * @err:	set if it failed
 *
 * Return: 0, -EREMOTEIO, -ENOSYS, -EPROTO
 */
static int judge_answer(const struct qmp_client *q, json_t *answer,
			json_t **ret, struct error *err)
{
	json_t *good = json_object_get(answer, "return");
	json_t *bad = json_object_get(answer, "error");
	const char *desc = json_string_value(json_object_get(bad, "desc"));
	const char *class = json_string_value(json_object_get(bad, "class"));

	if (good) {
		if (ret)
			*ret = json_incref(good);
		return 0;
	}
	if (!desc)
		return error_set(err, EPROTO, "%s sent an answer that is no "
				 "QMP: is this a ferry?", q->link.label);
	if (class && !strcmp(class, QMP_COMMAND_NOT_FOUND))
		return error_set(err, ENOSYS, "%s", desc);
	return error_set(err, EREMOTEIO, "%s", desc);
}

int qmp_execute(struct qmp_client *q, const char *command, json_t *args,
		json_t **ret, struct error *err)
{
	json_t *answer = NULL, *msg;
	char *text;
	int rc;

	if (ret)
		*ret = NULL;
	msg = json_pack("{s:s, s:o*, s:I}", "execute", command,
			"arguments", args, "id", ++q->id);
	text = qmp_text(msg);
	json_decref(msg);
	if (!text)
		return error_set(err, ENOMEM, "no memory for a command");

	rc = qmp_link_send(&q->link, text, err);
	free(text);
	if (!rc)
		rc = next_answer(q, &answer, err);
	if (!rc)
		rc = judge_answer(q, answer, ret, err);
	json_decref(answer);
	return rc;
}

int qmp_next_event(struct qmp_client *q, int timeout_ms, json_t **event,
		   struct error *err)
{
	int64_t deadline = qmp_deadline(timeout_ms);
	int rc;

	*event = json_incref(json_array_get(q->events, 0));
	if (*event) {
		json_array_remove(q->events, 0);
		return 0;
	}
	for (;;) {
		rc = qmp_link_next(&q->link, q->watch, deadline, event,
				   err);
		if (rc || json_object_get(*event, "event"))
			return rc;
		json_decref(*event);	/* late, for a command given up */
		*event = NULL;
	}
}

/**
 * negotiate() - Take the greeting, and enter command mode
 * @q:		the client, connected
 * @err:	why not
 *
 * Return: 0, or as qmp_execute()
 */
static int negotiate(struct qmp_client *q, struct error *err)
{
	json_t *hello;
	int rc;

	rc = next_answer(q, &hello, err);
	if (rc)
		return rc;
	if (!json_object_get(hello, "QMP"))
		rc = error_set(err, EPROTO, "%s did not greet as QMP does: is "
			       "this a ferry?", q->link.label);
	json_decref(hello);
	return rc ? rc : qmp_execute(q, "qmp_capabilities", NULL, NULL, err);
}

struct qmp_client *qmp_open(const char *name, const char *path,
			    int timeout_ms, struct error *err)
{
	struct qmp_client *q = calloc(1, sizeof(*q));

	if (q)
		q->events = json_array();
	if (!q || !q->events) {
		error_set(err, ENOMEM, "no memory to connect");
		free(q);
		return NULL;
	}
	q->link.fd = q->watch = -1;
	q->link.timeout_ms = timeout_ms;
	if (name)
		snprintf(q->link.label, sizeof(q->link.label), "machine '%s'", name);
	else
		snprintf(q->link.label, sizeof(q->link.label), "the machine at %s",
			 path);

	if (qmp_link_open(&q->link, path, err) || negotiate(q, err)) {
		qmp_close(q);
		return NULL;
	}
	return q;
}

void qmp_timeout(struct qmp_client *q, int timeout_ms)
{
	q->link.timeout_ms = timeout_ms;
}

void qmp_watch(struct qmp_client *q, int fd)
{
	q->watch = fd;
}

void qmp_close(struct qmp_client *q)
{
	if (!q)
		return;
	qmp_link_close(&q->link);
	json_decref(q->events);
	free(q);
}
