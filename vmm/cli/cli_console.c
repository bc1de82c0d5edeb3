// SPDX-License-Identifier: MIT
/*
 * cli_console.c - ferry console: a terminal on a guest's serial port
 *
 * Two things happen at once: what is typed goes to the machine's console socket,
 * what comes from there is printed. When the machine closes it, QMP tells
 * why: it has ended, or the guest has left. A guest that moved to another machine
 * of this user on this host is followed; the two machines know the migration
 * by the same id. The control socket is opened for each question anew: a
 * client that stays, and reads no events, would be disconnected one day.
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
#include "tty.h"
#include "vmm/base/log.h"
#include "vmm/base/runtime.h"

#define ESCAPE		0x1d	/* Ctrl-] */
#define TYPED_MAX	4096
#define ASK_MS		2000

enum ending { END_LEFT, END_CLOSED, END_OVER, END_FAILED };

/**
 * struct console - An attached terminal
 * @control:	control socket of the machine that it is attached to
 * @name:	of that machine, or @control again
 * @fd:		the machine's console socket
 * @in:		standard input is watched
 * @tty:	and is a terminal
 * @typed:	not yet taken by the machine
 * @n:		how much of it
 */
struct console {
	char control[RUNTIME_PATH_MAX], name[RUNTIME_PATH_MAX];
	int fd;
	bool in, tty;
	char typed[TYPED_MAX];
	size_t n;
};

/**
 * say() - Tell whoever sits there what happened, on a line of its own
 * @c:		the console
 * @what, @which, @more: the text, in three parts
 */
static void say(const struct console *c, const char *what, const char *which,
		const char *more)
{
	fprintf(stderr, "%s[ferry: %s%s%s]%s\n", c->tty ? "\r\n" : "", what,
		which, more, c->tty ? "\r" : "");
}

static bool write_all(int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t done = write(fd, data, n);

		if (done < 0 && errno == EAGAIN)
			poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, -1);
		else if (done < 0 && errno != EINTR)
			return false;
		if (done <= 0)
			continue;
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
	*end = END_CLOSED;
	if (n <= 0)
		return false;
	if (write_all(STDOUT_FILENO, buf, (size_t)n))
		return true;
	say(c, "cannot write the output: ", strerrordesc_np(errno), "");
	*end = END_FAILED;
	return false;
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
 * find_console() - Ask a machine where its console is
 * @c:		the console
 * @sa:		filled in
 * @err:	why not
 *
 * Return: 0, -errno
 */
static int find_console(const struct console *c, struct sockaddr_un *sa,
			struct error *err)
{
	struct qmp_client *q = qmp_open(c->name, c->control, QMP_TIMEOUT_MS,
					err);
	json_t *list = NULL;
	const char *path;
	int rc = q ? qmp_execute(q, "query-chardev", NULL, &list, err)
		   : -err->code;

	path = cli_text(json_array_get(list, 0), "filename", "");
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!rc && (strncmp(path, "unix:", 5) ||
		    strlen(path + 5) >= sizeof(sa->sun_path)))
		rc = error_set(err, ENOENT, "the machine has no console "
			       "socket; its messages say why");
	if (!rc)
		strcpy(sa->sun_path, path + 5);
	json_decref(list);
	qmp_close(q);
	return rc;
}

/**
 * attach() - Connect to a machine's console
 * @c:		the console; @fd is set
 * @err:	why not
 *
 * Return: 0, -errno
 */
static int attach(struct console *c, struct error *err)
{
	struct sockaddr_un sa;
	int rc = find_console(c, &sa, err);

	if (rc)
		return rc;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd >= 0 && !connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)))
		return 0;
	rc = error_set(err, errno, "cannot attach to the console at %s: %m",
		       sa.sun_path);
	if (c->fd >= 0)
		close(c->fd);
	return rc;
}

/**
 * is_there() - Is this where a migration arrived?
 * @c:		set to be there if it is
 * @name:	of the machine
 * @id:		of the migration
 *
 * Return: yes, or no, as far as it answers
 */
static bool is_there(struct console *c, const char *name, const char *id)
{
	char path[RUNTIME_PATH_MAX];
	struct qmp_client *q = NULL;
	json_t *info = NULL;
	bool found;

	if (!runtime_path(name, path, sizeof(path), NULL))
		q = qmp_open(name, path, ASK_MS, NULL);
	found = q && !qmp_execute(q, "query-migrate", NULL, &info, NULL) &&
		!strcmp(cli_text(info, "ferry.arrived-as", ""), id);
	if (found) {
		strcpy(c->control, path);
		snprintf(c->name, sizeof(c->name), "%s", name);
	}
	json_decref(info);
	qmp_close(q);
	return found;
}

/**
 * find() - The machine on this host at which a migration arrived
 * @c:		set to be there
 * @id:		of the migration
 *
 * Return: is there one?
 */
static bool find(struct console *c, const char *id)
{
	char dir[RUNTIME_PATH_MAX];
	struct dirent **d;
	bool found = false;
	int n = -1;

	if (*id && !runtime_dir(dir, sizeof(dir), NULL))
		n = scandir(dir, &d, cli_is_socket, alphasort);
	for (int i = 0; i < n; i++) {
		d[i]->d_name[strlen(d[i]->d_name) - strlen(".sock")] = '\0';
		found = found || is_there(c, d[i]->d_name, id);
		free(d[i]);
	}
	if (n >= 0)
		free(d);
	return found;
}

/**
 * closed() - The console was closed: say why, and find out where to go on
 * @c:		the console
 * @state:	of the machine
 * @info:	what its query-migrate says
 *
 * Return: END_CLOSED to attach again, else why it is over
 */
static enum ending closed(struct console *c, const char *state, json_t *info)
{
	if ((strcmp(state, "postmigrate") && strcmp(state, "finish-migrate")) ||
	    strcmp(cli_text(info, "ferry.side", ""), "source")) {
		say(c, "", c->name, " has closed this console");
		return END_FAILED;
	}
	if (find(c, cli_text(info, "ferry.id", ""))) {
		say(c, "the guest has moved; this is ", c->name, " now");
		return END_CLOSED;
	}
	say(c, "the guest has moved to ",
	    cli_text(info, "ferry.uri", "elsewhere"), "; its console is there");
	return END_OVER;
}

/**
 * follow() - The console was closed: ask the machine
 * @c:		the console
 *
 * Return: as closed()
 */
static enum ending follow(struct console *c)
{
	json_t *status = NULL, *info = NULL;
	struct error err = { 0 };
	struct qmp_client *q = qmp_open(c->name, c->control, QMP_TIMEOUT_MS,
					&err);
	enum ending end = END_OVER;

	if (q && !qmp_execute(q, "query-status", NULL, &status, &err))
		qmp_execute(q, "query-migrate", NULL, &info, &err);
	if (!err.code) {
		end = closed(c, cli_text(status, "status", ""), info);
	} else if (err.code == ENOENT || err.code == ECONNREFUSED ||
		   err.code == ECONNRESET) {
		say(c, "", c->name, " has ended");
	} else {
		say(c, err.text, "", "");
		end = END_FAILED;
	}
	json_decref(status);
	json_decref(info);
	qmp_close(q);
	return end;
}

/**
 * stay() - Be the terminal of a guest, wherever it goes
 * @c:		the console
 *
 * Return: exit status
 */
static int stay(struct console *c)
{
	struct error err = { 0 };
	enum ending end;

	do {
		if (attach(c, &err)) {
			tty_restore();
			return cli_fail(&err);
		}
		if (!c->tty && tty_raw()) {
			c->tty = true;
			say(c, "the console of ", c->name,
			    "; Ctrl-] leaves");
		}
		end = converse(c);
		close(c->fd);
		if (end == END_CLOSED)
			end = follow(c);
	} while (end == END_CLOSED);
	if (end == END_LEFT)
		say(c, "left the console of ", c->name, "");
	tty_restore();
	return end == END_FAILED ? CLI_FAILED : CLI_OK;
}

int cli_console(const struct options *o)
{
	struct console c = { .in = true };
	struct error err = { 0 };

	snprintf(c.name, sizeof(c.name), "%s", cli_label(o));
	if (!o->control)
		runtime_path(o->name, c.control, sizeof(c.control), &err);
	else if ((size_t)snprintf(c.control, sizeof(c.control), "%s",
				  o->control) >= sizeof(c.control))
		error_set(&err, ENAMETOOLONG, "%s is too long for the path of "
			  "a socket", o->control);
	return err.code ? cli_fail(&err) : stay(&c);
}
