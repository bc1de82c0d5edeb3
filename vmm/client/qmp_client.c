// SPDX-License-Identifier: MIT
/*
 * qmp_client.c - A blocking QMP client
 *
 * jansson reads messages from a stdio stream; its read function is the one
 * place that waits, with a limit, until the machine sends more. Each command
 * carries a number as its id, so that a late answer to a command that timed out
 * is not taken for the answer to the next command.
 */

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qmp_client.h"
#include "vmm/base/clock.h"
#include "vmm/control/qmp.h"

/* Longer than any answer, also than a list of 2^19 poisoned pages */
#define MESSAGE_MAX	(128 * 1024 * 1024)

/**
 * struct qmp_client - A connection, and what is under way on it
 * @fd:		the socket
 * @in:		reads from @fd
 * @timeout_ms:	time that the machine may take to answer, or -1
 * @watch:	descriptor that ends a wait for events, or -1
 * @id:		of the last command
 * @events:	array of events that were received but not asked for yet
 * @label:	"machine 'x'" or "the machine at PATH"
 * @until:	for the next reads: when they end, ns of now_ns(), or UINT64_MAX
 * @wait_watch:	descriptor that ends them, or -1
 * @ended:	the event SHUTDOWN was received: the machine ends
 * @size:	bytes received since the message began
 * @rc:		why the last read failed
 */
struct qmp_client {
	int fd, timeout_ms, watch;
	FILE *in;
	json_int_t id;
	json_t *events;
	char label[160];
	int wait_watch, rc;
	bool ended;
	uint64_t until;
	size_t size;
};

/* When a wait of so many ms ends; -1: never */
static uint64_t deadline(int ms)
{
	return ms < 0 ? UINT64_MAX : now_ns() + (uint64_t)ms * 1000000;
}

/* For poll(2): the time that is left, rounded up */
static int left_ms(uint64_t until)
{
	const uint64_t now = now_ns();

	if (until == UINT64_MAX)
		return -1;
	return now < until ? (int)((until - now + 999999) / 1000000) : 0;
}

static int no_answer(const char *label, int timeout_ms, struct error *err)
{
	return error_set(err, ETIMEDOUT, "%s did not answer within %g s: it "
			 "hangs, or is stopped", label, timeout_ms / 1000.0);
}

static int connection_ended(const struct qmp_client *q, struct error *err)
{
	return q->ended ? error_set(err, ESHUTDOWN, "%s has ended", q->label) :
			  error_set(err, ECONNRESET, "%s ended the connection",
				    q->label);
}

static int not_qmp(const struct qmp_client *q, struct error *err)
{
	return error_set(err, EPROTO, "%s sent a message that is not QMP: is "
			 "this a ferry?", q->label);
}

static bool is_shutdown(const json_t *msg)
{
	const char *event = json_string_value(json_object_get(msg, "event"));

	return event && !strcmp(event, "SHUTDOWN");
}

/* Called by stdio when its buffer is empty */
static ssize_t on_read(void *cookie, char *to, size_t size)
{
	struct qmp_client *q = cookie;
	struct pollfd fds[] = {
		{ .fd = q->fd, .events = POLLIN },
		{ .fd = q->wait_watch, .events = POLLIN },	/* or -1 */
	};
	ssize_t n;

	do
		n = poll(fds, 2, left_ms(q->until));
	while (n < 0 && errno == EINTR);
	q->rc = !n ? -ETIMEDOUT : fds[1].revents ? -EINTR : 0;
	if (q->size > MESSAGE_MAX)
		q->rc = -EPROTO;
	if (q->rc)
		return -1;
	n = recv(q->fd, to, size, 0);
	q->rc = n > 0 ? 0 : -ECONNRESET;
	q->size += n > 0 ? (size_t)n : 0;
	return n > 0 ? n : -1;
}

/*
 * @until, @watch: end the wait (@err is not set then), but only before a
 * message begins: its rest must come within the time of an answer.
 * Return: 0, -ETIMEDOUT, -EINTR, -ECONNRESET, -ESHUTDOWN, -EPROTO
 */
static int next_message(struct qmp_client *q, int watch, uint64_t until,
			json_t **msg, struct error *err)
{
	int c;

	*msg = NULL;
	q->rc = 0;
	q->size = 0;
	q->until = until;
	q->wait_watch = watch;
	clearerr(q->in);
	do
		c = getc(q->in);
	while (isspace(c));
	if (c != EOF) {
		ungetc(c, q->in);
		q->until = deadline(q->timeout_ms);
		q->wait_watch = -1;
		*msg = json_loadf(q->in, JSON_DISABLE_EOF_CHECK, NULL);
	}
	q->ended = q->ended || is_shutdown(*msg);
	if (*msg || (c == EOF && q->rc != -ECONNRESET))
		return q->rc;
	if (q->rc == -ETIMEDOUT)
		return no_answer(q->label, q->timeout_ms, err);
	return q->rc == -ECONNRESET ? connection_ended(q, err) :
				      not_qmp(q, err);
}

static int send_text(struct qmp_client *q, const char *text, struct error *err)
{
	size_t left = strlen(text);
	ssize_t n;

	while (left) {
		n = send(q->fd, text, left, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return no_answer(q->label, q->timeout_ms, err);
		if (n < 0 && errno != EINTR)
			return connection_ended(q, err);
		text += n < 0 ? 0 : n;
		left -= n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

/* The next message that is not an event, whose number does not delay the end of
 * the wait; events are kept
 */
static int next_answer(struct qmp_client *q, json_t **msg, struct error *err)
{
	const uint64_t until = deadline(q->timeout_ms);
	const json_t *id;
	int rc;

	for (;;) {
		rc = next_message(q, -1, until, msg, err);
		if (rc == -ETIMEDOUT)
			return no_answer(q->label, q->timeout_ms, err);
		if (rc)
			return rc;
		id = json_object_get(*msg, "id");
		if (json_object_get(*msg, "event"))
			json_array_append_new(q->events, *msg);
		else if (id && json_integer_value(id) != q->id)
			json_decref(*msg);	/* to an earlier command */
		else
			return 0;
	}
}

/* Return: 0, -EREMOTEIO, -ENOSYS, -EPROTO */
static int parse_answer(const struct qmp_client *q, json_t *answer,
			json_t **ret, struct error *err)
{
	const char *desc, *class = "";
	json_t *good = json_object_get(answer, "return");

	if (ret)
		*ret = json_incref(good);
	if (good)
		return 0;
	if (json_unpack(answer, "{s:{s:s, s?s}}", "error", "desc", &desc,
			"class", &class))
		return not_qmp(q, err);
	return error_set(err, strcmp(class, QMP_COMMAND_NOT_FOUND) ? EREMOTEIO
								   : ENOSYS,
			 "%s", desc);
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
	const uint64_t until = deadline(timeout_ms);
	int rc;

	*event = json_incref(json_array_get(q->events, 0));
	if (*event) {
		json_array_remove(q->events, 0);
		return 0;
	}
	for (;;) {
		rc = next_message(q, q->watch, until, event, err);
		if (rc || json_object_get(*event, "event"))
			return rc;
		/* The late answer to a command that timed out */
		json_decref(*event);
	}
}

static int connect_error(const char *label, int timeout_ms, int code,
			 const char *path, struct error *err)
{
	switch (code) {
	case ENOENT:
	case ENOTDIR:
		return error_set(err, ENOENT, "%s is not running here (there is "
				 "no socket %s; `ferry list` shows the "
				 "machines)", label, path);
	case ECONNREFUSED:
		return error_set(err, code, "%s is not running any more (no "
				 "process listens on %s; `ferry list` shows "
				 "the machines)", label, path);
	case EACCES:
	case EPERM:
		return error_set(err, EACCES, "%s belongs to another user (no "
				 "permission to open %s)", label, path);
	case EAGAIN:
		return no_answer(label, timeout_ms, err);
	default:
		return error_set(err, code, "cannot connect to %s: %s", path,
				 strerror(code));
	}
}

int qmp_connect(const char *label, const char *path, int timeout_ms,
		struct error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = timeout_ms / 1000,
				 .tv_usec = timeout_ms % 1000 * 1000 };
	int fd, rc;

	if (strlen(path) >= sizeof(sa.sun_path))
		return error_set(err, ENAMETOOLONG, "%s is too long for the "
				 "path of a socket", path);
	strcpy(sa.sun_path, path);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, errno, "cannot create a socket: %m");
	/* Also connect(2) waits so long, if many clients connect at once */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	do
		rc = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	while (rc && errno == EINTR);
	if (rc)
		rc = connect_error(label, timeout_ms, errno, path, err);
	else
		return fd;
	close(fd);
	return rc;
}

static int negotiate(struct qmp_client *q, struct error *err)
{
	json_t *hello;
	int rc = next_answer(q, &hello, err);

	/* Without a greeting it is the reason why there is none */
	if (!rc && !json_object_get(hello, "QMP"))
		rc = parse_answer(q, hello, NULL, err);
	json_decref(hello);
	return rc ? rc : qmp_execute(q, "qmp_capabilities", NULL, NULL, err);
}

struct qmp_client *qmp_open(const char *name, const char *path,
			    int timeout_ms, struct error *err)
{
	struct qmp_client *q = calloc(1, sizeof(*q));

	if (!q) {
		error_set(err, ENOMEM, "out of memory for a connection");
		return NULL;
	}
	q->watch = -1;
	q->timeout_ms = timeout_ms;
	q->events = json_array();
	snprintf(q->label, sizeof(q->label), name ? "machine '%s'"
		 : "the machine at %s", name ? name : path);

	q->fd = qmp_connect(q->label, path, timeout_ms, err);
	q->in = fopencookie(q, "r", (cookie_io_functions_t){
				    .read = on_read });
	if (q->fd >= 0 && !q->in)
		error_set(err, ENOMEM, "out of memory for a connection");
	else if (q->fd >= 0 && !negotiate(q, err))
		return q;
	qmp_close(q);
	return NULL;
}

void qmp_timeout(struct qmp_client *q, int timeout_ms)
{
	q->timeout_ms = timeout_ms;
}

void qmp_watch(struct qmp_client *q, int fd)
{
	q->watch = fd;
}

void qmp_cut(struct qmp_client *q)
{
	shutdown(q->fd, SHUT_RDWR);
}

void qmp_close(struct qmp_client *q)
{
	if (!q)
		return;
	if (q->in)
		fclose(q->in);
	if (q->fd >= 0)
		close(q->fd);
	json_decref(q->events);
	free(q);
}
