// SPDX-License-Identifier: MIT
/* chardev.c - Where the guest's serial port ends on the host */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
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

#define RING_SIZE	(1u << 20)
#define FLUSH_SECONDS	2

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

	struct event *readable, *again;	/* main thread only */
	chardev_input_fn *fn;
	void *ctx;
	uint8_t typed[256];
	size_t typed_n;
};

/* Bytes of the ring that can be written in one piece; waits for some */
static size_t next_piece(struct chardev *c, const uint8_t **data)
{
	size_t at, n;

	pthread_mutex_lock(&c->lock);
	while (c->head == c->tail && !c->stop)
		pthread_cond_wait(&c->filled, &c->lock);
	at = c->tail % RING_SIZE;
	n = c->head - c->tail;
	if (n > RING_SIZE - at)
		n = RING_SIZE - at;
	*data = c->ring + at;
	pthread_mutex_unlock(&c->lock);
	return n;
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
		/* Whoever shares the terminal may have made it non-blocking */
		if (done < 0 && errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = c->out,
					       .events = POLLOUT }, 1, -1);
			continue;
		}
		/* Nobody listens any more: the guest goes on regardless */
		if (done < 0)
			done = (ssize_t)n;
		pthread_mutex_lock(&c->lock);
		c->tail += (size_t)done;
		pthread_mutex_unlock(&c->lock);
	}
	return NULL;
}

void chardev_write(struct chardev *c, const uint8_t *data, size_t n)
{
	pthread_mutex_lock(&c->lock);
	for (; n && c->out >= 0; n--, data++) {
		if (c->head - c->tail == RING_SIZE)
			c->dropped++;
		else
			c->ring[c->head++ % RING_SIZE] = *data;
	}
	pthread_cond_signal(&c->filled);
	pthread_mutex_unlock(&c->lock);
}

static void offer(struct chardev *c)
{
	static const struct timeval soon = { .tv_usec = 10000 };
	size_t n = c->fn ? c->fn(c->ctx, c->typed, c->typed_n) : 0;

	c->typed_n -= n;
	memmove(c->typed, c->typed + n, c->typed_n);
	if (c->typed_n)
		event_add(c->again, &soon);
	else
		event_add(c->readable, NULL);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	offer(arg);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct chardev *c = arg;
	ssize_t n = read(fd, c->typed, sizeof(c->typed));

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		event_add(c->readable, NULL);
	} else if (n > 0) {
		c->typed_n = (size_t)n;
		offer(c);
	}
	/* End of input: there will be no more, and that is all right */
}

static int start_writer(struct chardev *c, struct error *err)
{
	sigset_t all, old;
	int rc;

	c->ring = malloc(RING_SIZE);
	if (!c->ring)
		return error_set(err, ENOMEM, "out of memory for a console");
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&c->writer, NULL, writer_main, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		free(c->ring);
		c->ring = NULL;
		return error_set(err, rc, "cannot start the console: %s",
				 strerrordesc_np(rc));
	}
	pthread_setname_np(c->writer, "console");
	return 0;
}

static int open_ends(struct chardev *c, enum serial_kind kind,
		     const char *path, struct error *err)
{
	if (kind == SERIAL_STDIO) {
		c->in = STDIN_FILENO;
		c->out = STDOUT_FILENO;
	} else if (kind == SERIAL_FILE) {
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

/*
 * A terminal, a pipe or a socket. epoll(7) has no use for regular files, and
 * /dev/null has nothing to say.
 */
static bool can_wait(int fd)
{
	struct stat st;

	return isatty(fd) || (!fstat(fd, &st) && (S_ISFIFO(st.st_mode) ||
						  S_ISSOCK(st.st_mode)));
}

static int watch_input(struct chardev *c, struct loop *loop,
		       struct error *err)
{
	struct event_base *base = loop_base(loop);

	if (c->in < 0 || !can_wait(c->in))
		return 0;
	c->readable = event_new(base, c->in, EV_READ, on_readable, c);
	c->again = event_new(base, -1, 0, on_again, c);
	if (!c->readable || !c->again)
		return error_set(err, ENOMEM, "out of memory for a console");
	return 0;
}

struct chardev *chardev_open(struct loop *loop, enum serial_kind kind,
			     const char *path, struct error *err)
{
	struct chardev *c = calloc(1, sizeof(*c));

	if (!c) {
		error_set(err, ENOMEM, "out of memory for a console");
		return NULL;
	}
	c->in = c->out = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->filled, NULL);
	if (open_ends(c, kind, path, err) || watch_input(c, loop, err) ||
	    (c->out >= 0 && start_writer(c, err))) {
		chardev_close(c);
		return NULL;
	}
	return c;
}

void chardev_listen(struct chardev *c, chardev_input_fn *fn, void *ctx)
{
	c->fn = fn;
	c->ctx = ctx;
	if (c->readable)
		event_add(c->readable, NULL);
}

static void stop_writer(struct chardev *c)
{
	struct timespec until;

	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->filled);
	pthread_mutex_unlock(&c->lock);

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += FLUSH_SECONDS;
	if (pthread_timedjoin_np(c->writer, NULL, &until)) {
		pthread_cancel(c->writer);
		pthread_join(c->writer, NULL);
	}
}

void chardev_close(struct chardev *c)
{
	if (!c)
		return;
	if (c->ring)
		stop_writer(c);
	if (c->dropped)
		log_line("%zu bytes of the guest's output were dropped: nobody read them in time",
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
