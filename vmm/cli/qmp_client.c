// SPDX-License-Identifier: MIT
/*
 * qmp_client.c - A blocking QMP client
 *
 * The socket does not block; wait_ready() is the one place that waits, with
 * poll(2) and a deadline on the monotonic clock. Each command carries a number
 * as its id, so that a late answer to a command that timed out is not taken for
 * the answer to the next command.
 */

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "qmp_client.h"
#include "vmm/control/qmp.h"

/* Longer than any answer, also than a list of 2^19 poisoned pages */
#define INPUT_MAX	(128 * 1024 * 1024)
#define INPUT_STEP	(16 * 1024)
#define CONNECT_RETRY_MS 20
#define NO_DEADLINE	INT64_MAX

/**
 * struct qmp_client - A connection, and what is under way on it
 * @fd:		the socket, non-blocking, or -1
 * @timeout_ms:	time that the machine may take to answer, or -1
 * @watch:	descriptor that ends a wait for events, or -1
 * @id:		of the last command
 * @events:	array of events that were received but not asked for yet
 * @label:	"machine 'x'" or "the machine at PATH"
 * @buf:	bytes received and not parsed yet
 * @len:	bytes in @buf
 * @cap:	size of @buf
 * @frame:	parser's position in @buf
 */
struct qmp_client {
	int fd, timeout_ms, watch;
	json_int_t id;
	json_t *events;
	char label[160];
	char *buf;
	size_t len, cap;
	struct qmp_frame frame;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

static int64_t deadline_after(int timeout_ms)
{
	return timeout_ms < 0 ? NO_DEADLINE : now_ms() + timeout_ms;
}

static int no_answer(const struct qmp_client *q, struct error *err)
{
	return error_set(err, ETIMEDOUT, "%s did not answer within %g s: it "
			 "hangs, or is stopped", q->label,
			 q->timeout_ms / 1000.0);
}

static int connection_ended(const struct qmp_client *q, struct error *err)
{
	return error_set(err, ECONNRESET, "%s ended the connection", q->label);
}

/* Return: 0, -ETIMEDOUT, -EINTR (@watch is readable), or -errno of poll(2) */
static int wait_ready(const struct qmp_client *q, short events, int watch,
		      int64_t deadline)
{
	struct pollfd fds[] = {
		{ .fd = q->fd, .events = events },
		{ .fd = watch, .events = POLLIN },	/* poll ignores -1 */
	};
	int64_t left;
	int n;

	do {
		left = -1;
		if (deadline != NO_DEADLINE) {
			left = deadline - now_ms();
			left = left < 0 ? 0 : left;
		}
		n = poll(fds, 2, (int)left);
	} while (n < 0 && errno == EINTR);

	if (n < 0)
		return -errno;
	if (!n)
		return -ETIMEDOUT;
	return fds[1].revents ? -EINTR : 0;
}

static int make_room(struct qmp_client *q, struct error *err)
{
	char *bigger;

	if (q->cap - q->len >= INPUT_STEP)
		return 0;
	if (q->cap >= INPUT_MAX)
		return error_set(err, EPROTO, "%s sent a message of more than "
				 "%d MiB", q->label, INPUT_MAX >> 20);

	bigger = realloc(q->buf, q->cap * 2 + INPUT_STEP);
	if (!bigger)
		return error_set(err, ENOMEM, "out of memory for the answer");
	q->buf = bigger;
	q->cap = q->cap * 2 + INPUT_STEP;
	return 0;
}

/* Return: 0 (also if nothing was received), -ECONNRESET, -EPROTO, -ENOMEM */
static int receive(struct qmp_client *q, struct error *err)
{
	ssize_t n;
	int rc;

	rc = make_room(q, err);
	if (rc)
		return rc;
	n = recv(q->fd, q->buf + q->len, q->cap - q->len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return connection_ended(q, err);
	q->len += (size_t)n;
	return 0;
}

/* *msg: an object, or NULL if no message is complete. Return: 0, -EPROTO */
static int take_message(struct qmp_client *q, json_t **msg, struct error *err)
{
	size_t end;
	bool blank;

	*msg = NULL;
	do {
		end = qmp_frame_next(&q->frame, q->buf, q->len);
		if (!end)
			return 0;
		blank = qmp_blank(q->buf, end);
		if (!blank)
			*msg = json_loadb(q->buf, end, 0, NULL);
		q->len -= end;
		memmove(q->buf, q->buf + end, q->len);
	} while (blank);

	return *msg ? 0 : error_set(err, EPROTO, "%s sent a message that is "
				    "not JSON: is this a ferry?", q->label);
}

/* @err is not set for -ETIMEDOUT and -EINTR (@watch) */
static int next_message(struct qmp_client *q, int watch, int64_t deadline,
			json_t **msg, struct error *err)
{
	int rc;

	for (;;) {
		rc = take_message(q, msg, err);
		if (rc || *msg)
			return rc;
		rc = wait_ready(q, POLLIN, watch, deadline);
		if (!rc)
			rc = receive(q, err);
		if (rc)
			return rc;
	}
}

static int send_text(struct qmp_client *q, const char *text, struct error *err)
{
	int64_t deadline = deadline_after(q->timeout_ms);
	size_t left = strlen(text);
	ssize_t n;

	while (left) {
		n = send(q->fd, text, left, MSG_NOSIGNAL);
		if (n >= 0) {
			text += n;
			left -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (wait_ready(q, POLLOUT, -1, deadline))
				return no_answer(q, err);
		} else if (errno != EINTR) {
			return connection_ended(q, err);
		}
	}
	return 0;
}

static bool is_late(const struct qmp_client *q, const json_t *msg)
{
	const json_t *id = json_object_get(msg, "id");

	return id && json_integer_value(id) != q->id;
}

/* The next message that is not an event; events are kept */
static int next_answer(struct qmp_client *q, json_t **msg, struct error *err)
{
	int64_t deadline = deadline_after(q->timeout_ms);
	int rc;

	for (;;) {
		rc = next_message(q, -1, deadline, msg, err);
		if (rc == -ETIMEDOUT)
			return no_answer(q, err);
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

/* Return: 0, -EREMOTEIO, -ENOSYS, -EPROTO */
static int parse_answer(const struct qmp_client *q, json_t *answer,
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
		return error_set(err, EPROTO, "%s sent an answer that is not "
				 "QMP: is this a ferry?", q->label);
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
		return error_set(err, ENOMEM, "out of memory for a command");

	rc = send_text(q, text, err);
	free(text);
	if (!rc)
		rc = next_answer(q, &answer, err);
	if (!rc)
		rc = parse_answer(q, answer, ret, err);
	json_decref(answer);
	return rc;
}

int qmp_next_event(struct qmp_client *q, int timeout_ms, json_t **event,
		   struct error *err)
{
	int64_t deadline = deadline_after(timeout_ms);
	int rc;

	*event = json_incref(json_array_get(q->events, 0));
	if (*event) {
		json_array_remove(q->events, 0);
		return 0;
	}
	for (;;) {
		rc = next_message(q, q->watch, deadline, event, err);
		if (rc || json_object_get(*event, "event"))
			return rc;
		/* The late answer to a command that timed out */
		json_decref(*event);
		*event = NULL;
	}
}

static int connect_error(const struct qmp_client *q, int code,
			 const char *path, struct error *err)
{
	switch (code) {
	case ENOENT:
	case ENOTDIR:
		return error_set(err, ENOENT, "%s is not running here (there is "
				 "no socket %s; `ferry list` shows the "
				 "machines)", q->label, path);
	case ECONNREFUSED:
		return error_set(err, code, "%s is not running any more (no "
				 "process listens on %s; `ferry list` shows "
				 "the machines)", q->label, path);
	case EACCES:
	case EPERM:
		return error_set(err, EACCES, "%s belongs to another user (no "
				 "permission to open %s)", q->label, path);
	case EAGAIN:
		return no_answer(q, err);
	default:
		return error_set(err, code, "cannot connect to %s: %s", path,
				 strerror(code));
	}
}

static int connect_to(struct qmp_client *q, const char *path,
		      struct error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const struct timespec pause = {
		.tv_nsec = CONNECT_RETRY_MS * 1000000,
	};
	int64_t deadline = deadline_after(q->timeout_ms);

	if (strlen(path) >= sizeof(sa.sun_path))
		return error_set(err, ENAMETOOLONG, "%s is too long for the "
				 "path of a socket", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);

	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (q->fd < 0)
		return error_set(err, errno, "cannot create a socket: %m");

	/* EAGAIN: the machine's queue of new connections is full */
	while (connect(q->fd, (struct sockaddr *)&sa, sizeof(sa))) {
		if (errno != EAGAIN || now_ms() >= deadline)
			return connect_error(q, errno, path, err);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int negotiate(struct qmp_client *q, struct error *err)
{
	json_t *hello;
	int rc;

	rc = next_answer(q, &hello, err);
	if (rc)
		return rc;
	if (json_object_get(hello, "error"))
		rc = parse_answer(q, hello, NULL, err);
	else if (!json_object_get(hello, "QMP"))
		rc = error_set(err, EPROTO, "%s did not send a QMP greeting: "
			       "is this a ferry?", q->label);
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
		error_set(err, ENOMEM, "out of memory for a connection");
		free(q);
		return NULL;
	}
	q->fd = q->watch = -1;
	q->timeout_ms = timeout_ms;
	snprintf(q->label, sizeof(q->label), name ? "machine '%s'"
		 : "the machine at %s", name ? name : path);

	if (connect_to(q, path, err) || negotiate(q, err)) {
		qmp_close(q);
		return NULL;
	}
	return q;
}

void qmp_timeout(struct qmp_client *q, int timeout_ms)
{
	q->timeout_ms = timeout_ms;
}

void qmp_watch(struct qmp_client *q, int fd)
{
	q->watch = fd;
}

void qmp_close(struct qmp_client *q)
{
	if (!q)
		return;
	if (q->fd >= 0)
		close(q->fd);
	json_decref(q->events);
	free(q->buf);
	free(q);
}
