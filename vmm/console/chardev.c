// SPDX-License-Identifier: MIT
/* chardev.c - The host's end of the guest's serial port */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "chardev.h"
#include "vmm/base/log.h"
#include "vmm/base/loop.h"
#include "vmm/base/thread.h"
#include "vmm/base/tty.h"
#include "vmm/base/units.h"

#define RING_SIZE	MIB
#define FLUSH_MS	2000
#define LINE_MS		2	/* time to wait for the rest of a line */
#define PIECE		4096	/* bytes that are written without waiting */
#define CHARDEV_ESCAPE	0x1d	/* Ctrl-] */

struct chardev {
	int in, out;
	bool close_out;
	pthread_t writer;

	pthread_mutex_t lock;		/* protects the ring */
	pthread_cond_t filled;
	uint8_t *ring;
	size_t head, tail;		/* bytes ever put in, ever taken out */
	size_t dropped;
	bool stop;
	bool failed;			/* writer thread only */

	struct event *readable, *again;	/* main thread only */
	chardev_input_fn *fn;
	chardev_quit_fn *quit;
	bool tty, escaped;		/* @in: a raw terminal; after the escape */
	void *ctx;
	uint8_t typed[256];
	size_t typed_n;
};

static bool ends_line(const struct chardev *c)
{
	return c->ring[(c->head - 1) % RING_SIZE] == '\n' ||
	       c->head - c->tail >= PIECE;
}

/*
 * Wait for the rest of a line. A vCPU writes each byte separately: waking this
 * thread for each would cost the vCPU a system call, and this thread a
 * write(2), per byte.
 */
static void await_line(struct chardev *c)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += LINE_MS * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	while (!c->stop && !ends_line(c) &&
	       !pthread_cond_clockwait(&c->filled, &c->lock, CLOCK_MONOTONIC,
				       &end))
		;
}

/* Wait for output. Return: bytes that one write(2) can take, 0 to end */
static size_t next_piece(struct chardev *c, const uint8_t **data)
{
	size_t at, n;

	pthread_mutex_lock(&c->lock);
	while (c->head == c->tail && !c->stop)
		pthread_cond_wait(&c->filled, &c->lock);
	if (c->head != c->tail)
		await_line(c);
	at = c->tail % RING_SIZE;
	n = c->head - c->tail;
	if (n > RING_SIZE - at)
		n = RING_SIZE - at;
	*data = c->ring + at;
	pthread_mutex_unlock(&c->lock);
	return n;
}

/* Once: the guest may print for days */
static void report_failure(struct chardev *c, int code)
{
	if (!c->failed)
		log_line("cannot write the guest's output: %s; it is dropped",
			 strerrordesc_np(code));
	c->failed = true;
}

static void *writer_main(void *arg)
{
	struct chardev *c = arg;
	const uint8_t *data;
	size_t n;

	while ((n = next_piece(c, &data))) {
		ssize_t done = write(c->out, data, n);

		if (done < 0 && errno == EINTR)
			continue;
		/* A process that shares the terminal made it non-blocking */
		if (done < 0 && errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = c->out,
					       .events = POLLOUT }, 1, -1);
			continue;
		}
		/* The reader closed its end, or the disk is full: drop it */
		if (done < 0) {
			report_failure(c, errno);
			done = (ssize_t)n;
		} else if (c->out == STDOUT_FILENO)
			log_shared_output((char)data[done - 1]);
		pthread_mutex_lock(&c->lock);
		c->tail += (size_t)done;
		pthread_mutex_unlock(&c->lock);
	}
	return NULL;
}

void chardev_write(struct chardev *c, const uint8_t *data, size_t n)
{
	bool first;

	pthread_mutex_lock(&c->lock);
	first = c->head == c->tail;
	for (; n && c->out >= 0; n--, data++) {
		if (c->head - c->tail == RING_SIZE)
			c->dropped++;
		else
			c->ring[c->head++ % RING_SIZE] = *data;
	}
	if (first || (c->head != c->tail && ends_line(c)))
		pthread_cond_signal(&c->filled);
	pthread_mutex_unlock(&c->lock);
}

static void pass_input(struct chardev *c)
{
	static const struct timeval soon = { .tv_usec = 10000 };
	size_t n = c->fn ? c->fn(c->ctx, c->typed, c->typed_n) : 0;

	c->typed_n -= n;
	memmove(c->typed, c->typed + n, c->typed_n);
	if (c->typed_n)
		event_add(c->again, &soon);
	if (!c->typed_n || c->tty)
		event_add(c->readable, NULL);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pass_input(arg);
}

/* Take the escape and its key out of what was typed. Return: bytes that remain */
static size_t filter_escape(struct chardev *c, uint8_t *data, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		bool escaped = c->escaped;

		c->escaped = !escaped && data[i] == CHARDEV_ESCAPE;
		if (c->escaped)
			log_line("q ends the machine; Ctrl-] goes to the guest; any other key continues");
		else if (escaped && data[i] == 'q')
			c->quit(c->ctx);
		else if (!escaped || data[i] == CHARDEV_ESCAPE)
			data[kept++] = data[i];
	}
	return kept;
}

/*
 * A terminal is read even if the guest takes nothing, because the escape must
 * be seen: keys that do not fit are lost. Another input is read as far as there
 * is room.
 */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct chardev *c = arg;
	uint8_t data[sizeof(c->typed)];
	size_t room = sizeof(c->typed) - c->typed_n, kept;
	ssize_t n = read(fd, data, c->tty ? sizeof(data) : room);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		event_add(c->readable, NULL);
	} else if (n > 0) {
		kept = c->tty ? filter_escape(c, data, (size_t)n) : (size_t)n;
		kept = kept < room ? kept : room;
		memcpy(c->typed + c->typed_n, data, kept);
		c->typed_n += kept;
		pass_input(c);
	}
	/* At the end of input, or an error, the input is not read any more */
}

static int start_writer(struct chardev *c, struct error *err)
{
	int rc;

	c->ring = malloc(RING_SIZE);
	if (!c->ring)
		return error_set(err, ENOMEM, "out of memory for a console");
	rc = thread_start(&c->writer, "console", writer_main, c);
	if (!rc)
		return 0;
	free(c->ring);
	c->ring = NULL;
	return error_set(err, -rc, "cannot start the console thread: %s",
			 strerrordesc_np(-rc));
}

static int open_ends(struct chardev *c, const char *where, struct error *err)
{
	const char *path = where + strlen("file:");

	if (!strcmp(where, "stdio")) {
		c->in = STDIN_FILENO;
		c->out = STDOUT_FILENO;
	} else if (strcmp(where, "none")) {
		c->out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			      0600);
		c->close_out = c->out >= 0;
		if (c->out < 0)
			return error_set(err, errno,
				"cannot open %s for the serial port: %s",
				path, strerrordesc_np(errno));
	}
	return 0;
}

/* epoll(7) refuses regular files, and /dev/null has no input */
static bool can_poll(int fd)
{
	struct stat st;

	return isatty(fd) || (!fstat(fd, &st) && (S_ISFIFO(st.st_mode) ||
						  S_ISSOCK(st.st_mode)));
}

static int watch_input(struct chardev *c, struct loop *loop,
		       struct error *err)
{
	struct event_base *base = loop_base(loop);

	if (c->in < 0 || !can_poll(c->in))
		return 0;
	c->readable = event_new(base, c->in, EV_READ, on_readable, c);
	c->again = event_new(base, -1, 0, on_again, c);
	if (!c->readable || !c->again)
		return error_set(err, ENOMEM, "out of memory for a console");
	return 0;
}

struct chardev *chardev_open(struct loop *loop, const char *where,
			     struct error *err)
{
	struct chardev *c = calloc(1, sizeof(*c));

	if (!c) {
		error_set(err, ENOMEM, "out of memory for a console");
		return NULL;
	}
	c->in = c->out = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->filled, NULL);
	if (open_ends(c, where, err) || watch_input(c, loop, err) ||
	    (c->out >= 0 && start_writer(c, err))) {
		chardev_close(c);
		return NULL;
	}
	return c;
}

/* The same terminal: the guest's output and Ferry's messages mix there */
static bool shares_terminal(void)
{
	struct stat out, err;

	return isatty(STDOUT_FILENO) && isatty(STDERR_FILENO) &&
	       !fstat(STDOUT_FILENO, &out) && !fstat(STDERR_FILENO, &err) &&
	       out.st_rdev == err.st_rdev;
}

void chardev_listen(struct chardev *c, chardev_input_fn *fn,
		    chardev_quit_fn *quit, void *ctx)
{
	c->fn = fn;
	c->quit = quit;
	c->ctx = ctx;
	if (c->out == STDOUT_FILENO && shares_terminal())
		log_share();
	if (c->in == STDIN_FILENO)
		c->tty = tty_raw(TTY_OUTPUT_LINES);
	if (c->tty)
		log_line("this terminal is the guest's serial port; Ctrl-] q ends the machine");
	if (c->readable)
		event_add(c->readable, NULL);
}

static void stop_writer(struct chardev *c)
{
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->filled);
	pthread_mutex_unlock(&c->lock);
	thread_finish(c->writer, FLUSH_MS);
}

void chardev_close(struct chardev *c)
{
	if (!c)
		return;
	if (c->tty)
		tty_restore();
	if (c->ring)
		stop_writer(c);
	if (c->dropped)
		log_line("%zu bytes of the guest's output were dropped: they came faster than they were read",
			 c->dropped);
	if (c->readable)
		event_free(c->readable);
	if (c->again)
		event_free(c->again);
	if (c->close_out)
		close(c->out);
	pthread_cond_destroy(&c->filled);
	pthread_mutex_destroy(&c->lock);
	free(c->ring);
	free(c);
}
