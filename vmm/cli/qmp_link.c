// SPDX-License-Identifier: MIT
/*
 * qmp_link.c - One end of a QMP connection, as a client has it
 *
 * The socket does not block; the one place that waits is wait_ready(), with
 * poll(2) and a deadline on the monotonic clock.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "qmp_link.h"

/* No answer is longer: even a list of a million poisoned pages is shorter */
#define INPUT_MAX	(128 * 1024 * 1024)
#define INPUT_STEP	(16 * 1024)
#define CONNECT_RETRY_MS 20

/**
 * now_ms() - The monotonic clock
 *
 * Return: ms
 */
static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

int64_t qmp_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? QMP_NO_DEADLINE : now_ms() + timeout_ms;
}

/**
 * wait_ready() - Wait for the socket
 * @l:		the connection
 * @what:	POLLIN or POLLOUT
 * @watch:	descriptor that ends the wait, or -1
 * @deadline:	from qmp_deadline()
 *
 * Return: 0, -ETIMEDOUT, -EINTR (@watch is readable), or -errno of poll(2)
 */
static int wait_ready(const struct qmp_link *l, short what, int watch,
		      int64_t deadline)
{
	struct pollfd fds[] = {
		{ .fd = l->fd, .events = what },
		{ .fd = watch, .events = POLLIN },	/* -1 is passed over */
	};
	int64_t left;
	int n;

	do {
		left = -1;
		if (deadline != QMP_NO_DEADLINE) {
			left = deadline - now_ms();
			left = left < 0 ? 0 : left;
		}
		n = poll(fds, 2, left);
	} while (n < 0 && errno == EINTR);

	if (n < 0)
		return -errno;
	if (!n)
		return -ETIMEDOUT;
	return fds[1].revents ? -EINTR : 0;
}

int qmp_no_answer(const struct qmp_link *l, struct error *err)
{
	return error_set(err, ETIMEDOUT, "%s did not answer within %g s: it "
			 "hangs, or is stopped", l->label,
			 l->timeout_ms / 1000.0);
}

/**
 * gone() - Say that the other end closed
 * @l:		the connection
 * @err:	set
 *
 * Return: -ECONNRESET
 */
static int gone(const struct qmp_link *l, struct error *err)
{
	return error_set(err, ECONNRESET, "%s ended the connection", l->label);
}

/**
 * make_room() - Make room for more input
 * @l:		the connection
 * @err:	why not
 *
 * Return: 0, -EPROTO (too long), -ENOMEM
 */
static int make_room(struct qmp_link *l, struct error *err)
{
	char *bigger;

	if (l->cap - l->len >= INPUT_STEP)
		return 0;
	if (l->cap >= INPUT_MAX)
		return error_set(err, EPROTO, "%s sent a message of more than "
				 "%d MiB", l->label, INPUT_MAX >> 20);

	bigger = realloc(l->buf, l->cap * 2 + INPUT_STEP);
	if (!bigger)
		return error_set(err, ENOMEM, "no memory for the answer");
	l->buf = bigger;
	l->cap = l->cap * 2 + INPUT_STEP;
	return 0;
}

/**
 * receive() - Take in what is there
 * @l:		the connection, readable
 * @err:	why not
 *
 * Return: 0 (maybe with nothing new), -ECONNRESET, -EPROTO, -ENOMEM
 */
static int receive(struct qmp_link *l, struct error *err)
{
	ssize_t n;
	int rc;

	rc = make_room(l, err);
	if (rc)
		return rc;
	n = recv(l->fd, l->buf + l->len, l->cap - l->len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return gone(l, err);
	l->len += n;
	return 0;
}

/**
 * take_message() - Take the first message out of what was received
 * @l:		the connection
 * @msg:	where to put it: an object, or NULL if none is whole yet
 * @err:	why not
 *
 * Return: 0, -EPROTO (that is no JSON object)
 */
static int take_message(struct qmp_link *l, json_t **msg, struct error *err)
{
	size_t end;
	bool blank;

	*msg = NULL;
	do {
		end = qmp_frame_next(&l->frame, l->buf, l->len);
		if (!end)
			return 0;
		blank = qmp_blank(l->buf, end);
		if (!blank)
			*msg = json_loadb(l->buf, end, 0, NULL);
		l->len -= end;
		memmove(l->buf, l->buf + end, l->len);
	} while (blank);

	return *msg ? 0 : error_set(err, EPROTO, "%s sent something that is "
				    "no JSON: is this a ferry?", l->label);
}

int qmp_link_next(struct qmp_link *l, int watch, int64_t deadline,
			json_t **msg, struct error *err)
{
	int rc;

	for (;;) {
		rc = take_message(l, msg, err);
		if (rc || *msg)
			return rc;
		rc = wait_ready(l, POLLIN, watch, deadline);
		if (!rc)
			rc = receive(l, err);
		if (rc)
			return rc;
	}
}

int qmp_link_send(struct qmp_link *l, const char *text, struct error *err)
{
	int64_t deadline = qmp_deadline(l->timeout_ms);
	size_t left = strlen(text);
	ssize_t n;

	while (left) {
		n = send(l->fd, text, left, MSG_NOSIGNAL);
		if (n >= 0) {
			text += n;
			left -= n;
		} else if (errno == EAGAIN) {
			if (wait_ready(l, POLLOUT, -1, deadline))
				return qmp_no_answer(l, err);
		} else if (errno != EINTR) {
			return gone(l, err);
		}
	}
	return 0;
}

/**
 * connect_error() - Say why there is no connection
 * @l:		the connection
 * @code:	errno of connect(2)
 * @path:	of the socket
 * @err:	set
 *
 * Return: -@code
 */
static int connect_error(const struct qmp_link *l, int code,
			 const char *path, struct error *err)
{
	switch (code) {
	case ENOENT:
	case ENOTDIR:
		return error_set(err, ENOENT, "%s is not running here (no "
				 "socket %s; `ferry list` shows what is)",
				 l->label, path);
	case ECONNREFUSED:
		return error_set(err, code, "%s is not running any more "
				 "(nobody listens on %s; `ferry list` shows "
				 "what is)", l->label, path);
	case EACCES:
	case EPERM:
		return error_set(err, EACCES, "%s belongs to another user (no "
				 "permission to open %s)", l->label, path);
	case EAGAIN:
		return qmp_no_answer(l, err);
	default:
		return error_set(err, code, "cannot connect to %s: %s", path,
				 strerror(code));
	}
}

int qmp_link_open(struct qmp_link *l, const char *path,
		      struct error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const struct timespec pause = {
		.tv_nsec = CONNECT_RETRY_MS * 1000000,
	};
	int64_t deadline = qmp_deadline(l->timeout_ms);

	if (strlen(path) >= sizeof(sa.sun_path))
		return error_set(err, ENAMETOOLONG, "%s is too long for the "
				 "path of a socket", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);

	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return error_set(err, errno, "cannot make a socket: %m");

	/* EAGAIN: the queue of those who want to connect is full */
	while (connect(l->fd, (struct sockaddr *)&sa, sizeof(sa))) {
		if (errno != EAGAIN || now_ms() >= deadline)
			return connect_error(l, errno, path, err);
		nanosleep(&pause, NULL);
	}
	return 0;
}

void qmp_link_close(struct qmp_link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	free(l->buf);
	l->fd = -1;
	l->buf = NULL;
}
