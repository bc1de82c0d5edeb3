// SPDX-License-Identifier: MIT
/*
 * cli_console.c - ferry console: a terminal on a guest's serial port
 *
 * Copies bytes between the terminal and the machine's console socket, in both
 * directions at once. When the machine closes the socket, a QMP query tells
 * why: the machine ended, or the guest moved. If it moved to another machine of
 * this user on this host, the console attaches there; both machines report the
 * same id for the migration. Each query opens a new connection: a client
 * that stays connected and reads no events would be disconnected some day.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli_common.h"
#include "vmm/base/runtime.h"
#include "vmm/base/tty.h"

#define ESCAPE		0x1d	/* Ctrl-] */
#define TYPED_MAX	4096
#define SEARCH_MS	2000	/* for each machine that may have the guest */
#define END_TRIES	25	/* for a machine that is ending */
#define END_WAIT_US	20000

/* What ends copy_bytes(); DETACHED_CLOSED: the machine closed the socket */
enum ending { DETACHED_USER, DETACHED_CLOSED, DETACHED_END, DETACHED_ERROR };

/**
 * struct console - An attached terminal
 * @control:	control socket of the machine
 * @name:	of the machine, or its @control
 * @fd:		the machine's console socket
 * @in:		standard input is read
 * @tty:	standard input is a terminal in raw mode
 * @typed:	bytes typed that the machine did not take yet
 * @n:		bytes in @typed
 */
struct console {
	char control[RUNTIME_PATH_MAX], name[RUNTIME_PATH_MAX];
	int fd;
	bool in, tty;
	char typed[TYPED_MAX];
	size_t n;
};

/* Print a message, in three parts, on a line of its own */
static void print_note(const struct console *c, const char *a, const char *b,
		       const char *end)
{
	fprintf(stderr, "%s[ferry: %s%s%s]%s\n", c->tty ? "\r\n" : "", a, b,
		end, c->tty ? "\r" : "");
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

/*
 * A terminal is read even if @typed is full, because Ctrl-] must be seen; keys
 * that do not fit are lost. Another input is read only as far as there is room.
 *
 * Return: false if the user detaches
 */
static bool read_typed(struct console *c)
{
	char buf[256];
	size_t room = TYPED_MAX - c->n;
	size_t want = c->tty || room > sizeof(buf) ? sizeof(buf) : room;
	ssize_t n = read(STDIN_FILENO, buf, want);
	char *escape;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0) {
		c->in = false;
		return !c->tty;
	}
	escape = c->tty ? memchr(buf, ESCAPE, (size_t)n) : NULL;
	if (escape)
		n = escape - buf;
	if ((size_t)n > room)
		n = (ssize_t)room;
	memcpy(c->typed + c->n, buf, (size_t)n);
	c->n += (size_t)n;
	return !escape;
}

static void send_typed(struct console *c)
{
	ssize_t n = send(c->fd, c->typed, c->n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n <= 0)
		return;
	c->n -= (size_t)n;
	memmove(c->typed, c->typed + n, c->n);
}

/* Return: false with *end set if there is no more output */
static bool print_output(const struct console *c, enum ending *end)
{
	char buf[4096];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	*end = DETACHED_CLOSED;
	if (n <= 0)
		return false;
	if (write_all(STDOUT_FILENO, buf, (size_t)n))
		return true;
	print_note(c, "cannot write the output: ", strerrordesc_np(errno), "");
	*end = DETACHED_ERROR;
	return false;
}

static enum ending copy_bytes(struct console *c)
{
	enum ending end;

	for (;;) {
		bool in = c->in && (c->tty || c->n < TYPED_MAX);
		struct pollfd p[] = {
			{ .fd = c->fd,
			  .events = (short)(POLLIN | (c->n ? POLLOUT : 0)) },
			{ .fd = in ? STDIN_FILENO : -1, .events = POLLIN },
		};

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return DETACHED_ERROR;
		if (p[1].revents && !read_typed(c)) {
			send_typed(c);
			return DETACHED_USER;
		}
		if (p[0].revents & POLLOUT)
			send_typed(c);
		if ((p[0].revents & ~POLLOUT) && !print_output(c, &end))
			return end;
	}
}

static int query_console(const struct console *c, struct sockaddr_un *sa,
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
			       "socket; its messages tell why");
	if (!rc)
		strcpy(sa->sun_path, path + 5);
	json_decref(list);
	qmp_close(q);
	return rc;
}

static int attach(struct console *c, struct error *err)
{
	struct sockaddr_un sa;
	int rc = query_console(c, &sa, err);

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
 * struct search - The machine on this host at which a migration arrived
 * @c:		set to that machine
 * @id:		of the migration
 * @found:	@c is set
 */
struct search {
	struct console *c;
	const char *id;
	bool found;
};

/* Return: false if this is the machine */
static bool search_machine(void *ctx, const char *name)
{
	struct search *s = ctx;
	char path[RUNTIME_PATH_MAX];
	struct qmp_client *q = NULL;
	json_t *info = NULL;

	if (!runtime_path(name, path, sizeof(path), NULL))
		q = qmp_open(name, path, SEARCH_MS, NULL);
	s->found = q &&
		   !qmp_execute(q, "query-migrate", NULL, &info, NULL) &&
		   !strcmp(cli_text(info, "ferry.arrived-as", ""), s->id);
	if (s->found) {
		strcpy(s->c->control, path);
		snprintf(s->c->name, sizeof(s->c->name), "%s", name);
	}
	json_decref(info);
	qmp_close(q);
	return !s->found;
}

/*
 * The machine closed the console: print why. Return: DETACHED_CLOSED with @c
 * set to the machine to attach to, else why the command ends.
 */
static enum ending closed(struct console *c, const char *state, json_t *info)
{
	struct search s = { .c = c, .id = cli_text(info, "ferry.id", "") };
	char dir[RUNTIME_PATH_MAX];

	if ((strcmp(state, "postmigrate") && strcmp(state, "finish-migrate")) ||
	    strcmp(cli_text(info, "ferry.side", ""), "source")) {
		print_note(c, "", c->name, " closed this console");
		return DETACHED_ERROR;
	}
	if (*s.id && !runtime_dir(dir, sizeof(dir), NULL))
		runtime_names(dir, search_machine, &s, NULL);
	if (s.found) {
		print_note(c, "the guest moved; this is ", c->name, " now");
		return DETACHED_CLOSED;
	}
	print_note(c, "the guest moved to ", cli_text(info, "ferry.uri",
		   "another machine"), "; attach to its console there");
	return DETACHED_END;
}

static void query_state(const struct console *c, json_t **status,
			json_t **info, struct error *err)
{
	struct qmp_client *q = qmp_open(c->name, c->control, QMP_TIMEOUT_MS,
					err);

	if (q && !qmp_execute(q, "query-status", NULL, status, err))
		qmp_execute(q, "query-migrate", NULL, info, err);
	qmp_close(q);
}

/*
 * Query why the machine closed the console. A machine that ends closes its
 * consoles first: a query at that moment is reset. Soon after, its socket is
 * removed; a socket that stays is that of a process that was killed.
 *
 * Return: as closed()
 */
static enum ending follow(struct console *c)
{
	json_t *status = NULL, *info = NULL;
	enum ending end = DETACHED_END;
	struct error err = { 0 };

	for (unsigned i = 0; i < END_TRIES; i++) {
		error_clear(&err);
		json_decref(status);
		status = NULL;
		query_state(c, &status, &info, &err);
		if (err.code != ECONNREFUSED && err.code != ECONNRESET)
			break;
		usleep(END_WAIT_US);
	}
	if (!err.code) {
		end = closed(c, cli_text(status, "status", ""), info);
	} else if (err.code == ENOENT) {
		print_note(c, "", c->name, " ended");
	} else if (err.code == ECONNREFUSED || err.code == ECONNRESET) {
		print_note(c, "", c->name, " died: its process was killed");
		end = DETACHED_ERROR;
	} else {
		print_note(c, err.text, "", "");
		end = DETACHED_ERROR;
	}
	json_decref(status);
	json_decref(info);
	return end;
}

/* Return: exit status */
static int run_console(struct console *c)
{
	struct error err = { 0 };
	enum ending end;

	do {
		if (attach(c, &err)) {
			tty_restore();
			return cli_fail(&err);
		}
		if (!c->tty && tty_raw(TTY_OUTPUT_RAW)) {
			c->tty = true;
			print_note(c, "the console of ", c->name,
				   "; Ctrl-] detaches");
		}
		end = copy_bytes(c);
		close(c->fd);
		if (end == DETACHED_CLOSED)
			end = follow(c);
	} while (end == DETACHED_CLOSED);
	if (end == DETACHED_USER)
		print_note(c, "detached from the console of ", c->name, "");
	tty_restore();
	return end == DETACHED_ERROR ? CLI_FAILED : CLI_OK;
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
	return err.code ? cli_fail(&err) : run_console(&c);
}
