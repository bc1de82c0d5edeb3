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
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli_common.h"
#include "vmm/base/runtime.h"
#include "vmm/base/tty.h"

#define ESCAPE		0x1d	/* Ctrl-] */
#define SEARCH_MS	2000	/* for each machine that may have the guest */
#define END_TRIES	25	/* for a machine that is ending */
#define END_WAIT_US	20000

/* What ends copy_bytes(); DETACHED_CLOSED: the machine closed the socket */
enum ending { DETACHED_USER, DETACHED_CLOSED, DETACHED_END, DETACHED_ERROR };

/**
 * struct console - An attached terminal
 * @name:	of the machine, or NULL if only @control is known
 * @control:	its control socket, or NULL for that of @name
 * @label:	one of the two, for messages
 * @moved_to:	@name, if the guest moved
 * @fd:		the machine's console socket
 * @in:		standard input is read
 * @tty:	standard input is a terminal in raw mode
 * @typed:	bytes typed that the machine did not take yet
 * @n:		bytes in @typed
 */
struct console {
	const char *name, *control, *label;
	char moved_to[RUNTIME_NAME_MAX + 1];
	int fd;
	bool in, tty;
	char typed[4096];
	size_t n;
};

/* Print a message on a line of its own */
static void __attribute__((format(printf, 2, 3)))
print_note(const struct console *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs(c->tty ? "\r\n[ferry: " : "[ferry: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs(c->tty ? "]\r\n" : "]\n", stderr);
	va_end(ap);
}

static bool write_all(int fd, const char *data, size_t n)
{
	ssize_t done;

	for (; n; data += done, n -= (size_t)done) {
		done = write(fd, data, n);
		if (done < 0 && errno == EAGAIN)
			poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, -1);
		else if (done < 0 && errno != EINTR)
			return false;
		if (done < 0)
			done = 0;
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
	char buf[256], *escape;
	size_t room = sizeof(c->typed) - c->n, n;
	ssize_t got = read(STDIN_FILENO, buf, c->tty || room > sizeof(buf) ?
			   sizeof(buf) : room);

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (got <= 0) {
		c->in = false;
		return !c->tty;
	}
	escape = c->tty ? memchr(buf, ESCAPE, (size_t)got) : NULL;
	n = escape ? (size_t)(escape - buf) : (size_t)got;
	n = n < room ? n : room;
	memcpy(c->typed + c->n, buf, n);
	c->n += n;
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
	print_note(c, "cannot write the output: %m");
	*end = DETACHED_ERROR;
	return false;
}

static enum ending copy_bytes(struct console *c)
{
	enum ending end;

	for (;;) {
		bool in = c->in && (c->tty || c->n < sizeof(c->typed));
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

static int attach(struct console *c, struct error *err)
{
	struct qmp_client *q = cli_open(c->name, c->control, QMP_TIMEOUT_MS,
					err);
	json_t *list = NULL;
	const char *path;

	if (q && !qmp_execute(q, "query-chardev", NULL, &list, err)) {
		path = render_text(json_array_get(list, 0), "filename");
		if (strncmp(path, "unix:", 5))
			error_set(err, ENOENT, "the machine has no console "
				  "socket; its messages tell why");
		else
			c->fd = qmp_connect(c->label, path + 5, QMP_TIMEOUT_MS,
					    err);
	}
	json_decref(list);
	qmp_close(q);
	return -err->code;
}

/* The machine on this host at which the migration @id of the guest arrived */
struct search {
	struct console *c;
	const char *id;
	bool found;
};

/* Return: false if this is the machine, which @c is set to */
static bool search_machine(void *ctx, const char *name)
{
	struct search *s = ctx;
	struct qmp_client *q = cli_open(name, NULL, SEARCH_MS, NULL);
	json_t *st = NULL;

	s->found = q && !cli_query(q, &st, NULL) &&
		   render_is(st, "migration.ferry.arrived-as", s->id);
	if (s->found) {
		snprintf(s->c->moved_to, sizeof(s->c->moved_to), "%s", name);
		s->c->name = s->c->label = s->c->moved_to;
		s->c->control = NULL;
	}
	json_decref(st);
	qmp_close(q);
	return !s->found;
}

/*
 * The machine closed the console: print why. Return: DETACHED_CLOSED with @c
 * set to the machine to attach to, else why the command ends.
 */
static enum ending explain_closed(struct console *c, json_t *st)
{
	struct search s = { .c = c, .id = render_text(st, "migration.ferry.id") };
	char dir[RUNTIME_PATH_MAX];
	const char *uri;

	if ((!render_is(st, "status", "postmigrate") &&
	     !render_is(st, "status", "finish-migrate")) ||
	    !render_is(st, "migration.ferry.side", "source")) {
		print_note(c, "%s closed this console", c->label);
		return DETACHED_ERROR;
	}
	if (*s.id && !runtime_dir(dir, sizeof(dir), NULL))
		runtime_names(dir, search_machine, &s, NULL);
	if (s.found) {
		print_note(c, "the guest moved; this is %s now", c->name);
		return DETACHED_CLOSED;
	}
	uri = render_text(st, "migration.ferry.uri");
	print_note(c, "the guest moved to %s; attach to its console there",
		   *uri ? uri : "another machine");
	return DETACHED_END;
}

/*
 * Query why the machine closed the console. A machine that ends closes its
 * consoles first: a query at that moment is reset. Soon after, its socket is
 * removed; a socket that stays is that of a process that was killed.
 *
 * Return: as explain_closed()
 */
static enum ending follow(struct console *c)
{
	enum ending end = DETACHED_ERROR;
	struct error err = { 0 };
	struct qmp_client *q;
	json_t *st = NULL;

	for (unsigned i = 0; i < END_TRIES; i++) {
		error_clear(&err);
		q = cli_open(c->name, c->control, QMP_TIMEOUT_MS, &err);
		if (q)
			cli_query(q, &st, &err);
		qmp_close(q);
		if (err.code != ECONNREFUSED && err.code != ECONNRESET &&
		    err.code != ESHUTDOWN)
			break;
		usleep(END_WAIT_US);
	}
	if (!err.code)
		end = explain_closed(c, st);
	else if (err.code == ENOENT || err.code == ESHUTDOWN)
		print_note(c, "%s ended", c->label);
	else if (err.code == ECONNREFUSED || err.code == ECONNRESET)
		print_note(c, "%s died: its process was killed", c->label);
	else
		print_note(c, "%s", err.text);
	json_decref(st);
	return err.code == ENOENT || err.code == ESHUTDOWN ? DETACHED_END : end;
}

int cli_console(const struct options *o, struct qmp_client *q,
		struct error *err)
{
	struct console c = { .name = o->name, .control = o->control,
			     .label = cli_label(o), .in = true };
	enum ending end;

	(void)q;
	do {
		end = DETACHED_ERROR;
		if (attach(&c, err))
			break;
		if (!c.tty && tty_raw(TTY_OUTPUT_RAW)) {
			c.tty = true;
			print_note(&c, "the console of %s; Ctrl-] detaches",
				   c.label);
		}
		end = copy_bytes(&c);
		close(c.fd);
		if (end == DETACHED_CLOSED)
			end = follow(&c);
	} while (end == DETACHED_CLOSED);
	if (end == DETACHED_USER)
		print_note(&c, "detached from the console of %s", c.label);
	tty_restore();
	return end == DETACHED_ERROR ? CLI_FAILED : CLI_OK;
}
