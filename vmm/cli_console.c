// SPDX-License-Identifier: MIT
/*
 * cli_console.c - ferry console: a terminal on a guest's serial port
 *
 * Two things happen at once: what is typed goes to the machine's console socket,
 * what comes from there is printed. When the machine closes it, QMP tells
 * why: it has ended, or the guest has left. A guest that moved to another machine
 * of this user on this host is followed; the two machines know the migration
 * by the same id.
 */

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli_common.h"
#include "log.h"
#include "runtime.h"
#include "tty.h"

#define ESCAPE		0x1d	/* Ctrl-] */
#define TYPED_MAX	4096
#define ASK_MS		2000

enum ending { END_LEFT, END_CLOSED, END_FAILED };

/**
 * struct console - An attached terminal
 * @fd:		the machine's console socket
 * @in:		standard input is watched
 * @tty:	and is a terminal
 * @typed:	not yet taken by the machine
 * @n:		how much of it
 */
struct console {
	int fd;
	bool in, tty;
	char typed[TYPED_MAX];
	size_t n;
};

/**
 * say() - Tell whoever sits there what happened, on a line of its own
 * @c:		the console
 * @what:	before the name
 * @name:	of the machine
 * @more:	behind it
 */
static void say(const struct console *c, const char *what, const char *name,
		const char *more)
{
	fprintf(stderr, "%s[ferry: %s%s%s]%s\n", c->tty ? "\r\n" : "", what,
		name, more, c->tty ? "\r" : "");
}

static bool write_all(int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t done = write(fd, data, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		data += done;
		n -= (size_t)done;
	}
	return true;
}

/**
 * take_typed() - Read what is typed
 * @c:		the console
 *
 * Of a terminal what finds no room is lost: its keys must be looked at, for
 * one of them leaves. Anything else is read as fast as it is taken.
 *
 * Return: false if the user leaves
 */
static bool take_typed(struct console *c)
{
	char buf[256];
	size_t room = TYPED_MAX - c->n;
	size_t want = c->tty || room > sizeof(buf) ? sizeof(buf) : room;
	ssize_t n = read(STDIN_FILENO, buf, want);
	char *leave;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0) {
		c->in = false;
		return !c->tty;
	}
	leave = c->tty ? memchr(buf, ESCAPE, (size_t)n) : NULL;
	if (leave)
		n = leave - buf;
	if ((size_t)n > room)
		n = (ssize_t)room;
	memcpy(c->typed + c->n, buf, (size_t)n);
	c->n += (size_t)n;
	return !leave;
}

static void send_typed(struct console *c)
{
	ssize_t n = send(c->fd, c->typed, c->n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n <= 0)
		return;
	c->n -= (size_t)n;
	memmove(c->typed, c->typed + n, c->n);
}

/**
 * show() - Print what the guest says
 * @c:		the console
 * @end:	set if there is no more
 *
 * Return: go on?
 */
static bool show(const struct console *c, enum ending *end)
{
	char buf[4096];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	*end = n > 0 ? END_FAILED : END_CLOSED;
	return n > 0 && write_all(STDOUT_FILENO, buf, (size_t)n);
}

/**
 * converse() - Carry bytes both ways
 * @c:		the console, attached
 *
 * Return: why it is over
 */
static enum ending converse(struct console *c)
{
	enum ending end;

	for (;;) {
		struct pollfd p[] = {
			{ .fd = c->fd, .events = (short)(POLLIN |
					 (c->n ? POLLOUT : 0)) },
			{ .fd = c->in && (c->tty || c->n < TYPED_MAX) ?
				STDIN_FILENO : -1, .events = POLLIN },
		};

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return END_FAILED;
		if (p[1].revents && !take_typed(c)) {
			send_typed(c);
			return END_LEFT;
		}
		if (p[0].revents & POLLOUT)
			send_typed(c);
		if ((p[0].revents & ~POLLOUT) && !show(c, &end))
			return end;
	}
}

/**
 * attach() - Connect to a machine's console
 * @q:		its control socket
 * @err:	why not
 *
 * Return: socket, -errno
 */
static int attach(struct qmp_client *q, struct error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	json_t *list = NULL;
	const char *path = NULL;
	int fd, rc = qmp_execute(q, "query-chardev", NULL, &list, err);

	if (rc)
		return rc;
	path = cli_text(json_array_get(list, 0), "filename", "");
	if (strncmp(path, "unix:", 5) ||
	    strlen(path + 5) >= sizeof(sa.sun_path)) {
		json_decref(list);
		return error_set(err, ENOENT, "the machine has no console "
				 "socket; its messages say why");
	}
	strcpy(sa.sun_path, path + 5);
	json_decref(list);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	rc = error_set(err, errno, "cannot attach to the console at %s: %m",
		       sa.sun_path);
	if (fd >= 0)
		close(fd);
	return rc;
}

/**
 * gone() - Has the guest left this machine?
 * @q:		its control socket
 * @info:	set to what query-migrate says, to be freed
 *
 * Return: yes, or no, as far as the machine answers
 */
static bool gone(struct qmp_client *q, json_t **info)
{
	json_t *st = NULL;
	const char *s = "";

	if (!qmp_execute(q, "query-status", NULL, &st, NULL) &&
	    !qmp_execute(q, "query-migrate", NULL, info, NULL))
		s = cli_text(st, "status", "");
	if (strcmp(s, "postmigrate") && strcmp(s, "finish-migrate"))
		s = NULL;
	json_decref(st);
	return s && !strcmp(cli_text(*info, "ferry.side", ""), "source");
}

/* Return: control connection if this is where migration @id arrived */
static struct qmp_client *is_there(const char *name, const char *id)
{
	char path[RUNTIME_PATH_MAX];
	struct qmp_client *q;
	json_t *info = NULL;
	bool found;

	if (runtime_path(name, path, sizeof(path), NULL))
		return NULL;
	q = qmp_open(name, path, ASK_MS, NULL);
	if (!q)
		return NULL;
	found = !qmp_execute(q, "query-migrate", NULL, &info, NULL) &&
		!strcmp(cli_text(info, "ferry.arrived-as", ""), id);
	json_decref(info);
	if (found)
		return q;
	qmp_close(q);
	return NULL;
}

/**
 * find() - The machine on this host at which a migration arrived
 * @id:		of the migration
 * @name:	set to the machine's name, to be freed
 *
 * Return: control connection, or NULL
 */
static struct qmp_client *find(const char *id, char **name)
{
	char dir[RUNTIME_PATH_MAX];
	struct qmp_client *q = NULL;
	struct dirent **d;
	int n = -1;

	*name = NULL;
	if (*id && !runtime_dir(dir, sizeof(dir), NULL))
		n = scandir(dir, &d, cli_is_socket, alphasort);
	for (int i = 0; i < n; i++) {
		d[i]->d_name[strlen(d[i]->d_name) - strlen(".sock")] = '\0';
		if (!q && (q = is_there(d[i]->d_name, id)))
			*name = strdup(d[i]->d_name);
		free(d[i]);
	}
	if (n >= 0)
		free(d);
	return q;
}

/**
 * follow() - The console was closed: find out why, and where to go on
 * @c:		the console
 * @q:		the machine's control socket; replaced by the next one's
 * @name:	its name; likewise, to be freed
 *
 * Return: is there somewhere?
 */
static bool follow(const struct console *c, struct qmp_client **q,
		   char **name)
{
	struct qmp_client *next = NULL;
	json_t *info = NULL;
	char *there = NULL;

	if (!gone(*q, &info)) {
		say(c, "", *name, " has ended");
		json_decref(info);
		return false;
	}
	next = find(cli_text(info, "ferry.id", ""), &there);
	if (next && there)
		say(c, "the guest has moved; this is ", there, " now");
	else
		say(c, "the guest has moved to ",
		    cli_text(info, "ferry.uri", "elsewhere"),
		    "; its console is there");
	json_decref(info);
	qmp_close(*q);
	free(*name);
	*q = next;
	*name = there;
	return next && there;
}

/**
 * stay() - Be the terminal of a guest, wherever it goes
 * @q:		control socket of the machine it is on; replaced as it moves
 * @name:	of that machine; likewise
 *
 * Return: exit status
 */
static int stay(struct qmp_client **q, char **name)
{
	struct console c = { .in = true };
	struct error err = { 0 };
	enum ending end;

	do {
		c.fd = attach(*q, &err);
		if (c.fd < 0) {
			tty_restore();
			return cli_fail(&err);
		}
		if (!c.tty && tty_raw()) {
			c.tty = true;
			say(&c, "the console of ", *name, "; Ctrl-] leaves");
		}
		end = converse(&c);
		close(c.fd);
	} while (end == END_CLOSED && follow(&c, q, name));
	if (end == END_LEFT)
		say(&c, "left the console of ", *name, "");
	tty_restore();
	return end == END_FAILED ? CLI_FAILED : CLI_OK;
}

int cli_console(const struct options *o)
{
	struct error err = { 0 };
	struct qmp_client *q = cli_open(o, &err);
	char *name;
	int rc;

	if (!q)
		return cli_fail(&err);
	name = strdup(cli_label(o));
	rc = name ? stay(&q, &name) : CLI_FAILED;
	free(name);
	qmp_close(q);
	return rc;
}
