// SPDX-License-Identifier: MIT
/* files.c - Virtual descriptors: eventfds, poll(), close() */

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>

#include "files.h"
#include "network.h"
#include "plan.h"
#include "tests/fake/fake_ram.h"
#include "wrap.h"

const char files_changed;

static struct file files[FILES_MAX];

int file_open(struct sock *sock, bool nonblock)
{
	for (int i = 0; i < FILES_MAX; i++) {
		if (files[i].used)
			continue;
		files[i] = (struct file){
			.used = true, .nonblock = nonblock, .sock = sock,
			.side = sched_side(),
		};
		return FILE_FIRST + i;
	}
	sim_fail("too many descriptors");
	errno = EMFILE;
	return -1;
}

struct file *file_of(int fd)
{
	struct file *f = &files[fd - FILE_FIRST];

	if (fd < FILE_FIRST || fd >= FILE_FIRST + FILES_MAX || !f->used ||
	    f->side != sched_side()) {
		sim_fail("descriptor %d is used, which is not open", fd);
		return NULL;
	}
	return f;
}

unsigned files_count(enum side side)
{
	unsigned n = 0;

	for (int i = 0; i < FILES_MAX; i++)
		n += files[i].used && files[i].side == side;
	return n;
}

static void file_close(struct file *f)
{
	if (f->sock)
		sock_close(f->sock);
	*f = (struct file){ 0 };
	sched_wake(&files_changed, true);
}

void files_close_all(enum side side)
{
	for (int i = 0; i < FILES_MAX; i++)
		if (files[i].used && files[i].side == side)
			file_close(&files[i]);
}

void files_relabel(enum side from, enum side to)
{
	for (int i = 0; i < FILES_MAX; i++)
		if (files[i].used && files[i].side == from) {
			files[i].side = to;
			if (files[i].sock)
				sock_relabel(files[i].sock, to);
		}
}

void files_forget(void)
{
	memset(files, 0, sizeof(files));
}

int __wrap_close(int fd)
{
	struct file *f;

	if (fd < FILE_FIRST)
		return __real_close(fd);
	f = file_of(fd);
	if (!f) {
		errno = EBADF;
		return -1;
	}
	if (!f->sock)
		fake_ram_closed(fd);
	sim_trace("close %d", fd);
	file_close(f);
	return 0;
}

/* ---- eventfd ---- */

int __wrap_eventfd(unsigned value, int flags)
{
	int fd;

	errno = plan_fails(CALL_EVENTFD);
	if (errno)
		return -1;
	fd = file_open(NULL, flags & EFD_NONBLOCK);
	if (fd >= 0)
		file_of(fd)->count = value;
	return fd;
}

ssize_t __wrap_read(int fd, void *to, size_t n)
{
	struct file *f;

	if (fd < FILE_FIRST)
		return __real_read(fd, to, n);
	sched_point();
	f = file_of(fd);
	errno = !f || f->sock || n != sizeof(f->count) ? EBADF :
		!f->count ? EAGAIN : 0;
	if (errno)
		return -1;
	memcpy(to, &f->count, sizeof(f->count));
	f->count = 0;
	return sizeof(f->count);
}

ssize_t __wrap___read_chk(int fd, void *to, size_t n, size_t size)
{
	(void)size;
	return __wrap_read(fd, to, n);
}

ssize_t __wrap_write(int fd, const void *from, size_t n)
{
	struct file *f;
	uint64_t add;

	if (fd < FILE_FIRST)
		return __real_write(fd, from, n);
	f = file_of(fd);
	if (!f || f->sock || n != sizeof(add)) {
		errno = EBADF;
		return -1;
	}
	memcpy(&add, from, sizeof(add));
	f->count += add;
	sched_wake(&files_changed, true);
	sched_point();
	return sizeof(add);
}

/* ---- poll ---- */

static short ready_events(struct pollfd *p, uint64_t *next)
{
	struct file *f = file_of(p->fd);
	short ready;

	if (!f)
		return POLLNVAL;
	if (f->sock)
		ready = sock_poll(f->sock, next);
	else
		ready = POLLOUT | (f->count ? POLLIN : 0);
	return ready & (p->events | POLLERR | POLLHUP);
}

static int count_ready(struct pollfd *p, nfds_t n, uint64_t *next)
{
	int ready = 0;

	network_progress();
	for (nfds_t i = 0; i < n; i++) {
		p[i].revents = p[i].fd < 0 ? 0 : ready_events(&p[i], next);
		ready += p[i].revents != 0;
	}
	return ready;
}

int __wrap_poll(struct pollfd *p, nfds_t n, int ms)
{
	const uint64_t end = ms < 0 ? NEVER
				    : sched_now() + (uint64_t)ms * MS;

	sched_point();
	errno = plan_fails(CALL_POLL);
	if (errno)
		return -1;
	for (;;) {
		uint64_t next = end;
		int ready = count_ready(p, n, &next);

		if (ready || sched_now() >= end || sim_failed())
			return ready;
		sched_wait(&files_changed, "descriptors", next);
	}
}

int __wrap___poll_chk(struct pollfd *p, nfds_t n, int ms, size_t size)
{
	(void)size;
	return __wrap_poll(p, n, ms);
}

static int set_flags(int fd, int command, int flags)
{
	struct file *f = file_of(fd);

	if (!f) {
		errno = EBADF;
		return -1;
	}
	if (command == F_GETFL)
		return f->nonblock ? O_NONBLOCK : 0;
	if (command == F_SETFL)
		f->nonblock = flags & O_NONBLOCK;
	return 0;
}

int __wrap_fcntl(int fd, int command, ...)
{
	va_list ap;
	int flags;

	va_start(ap, command);
	flags = command == F_SETFL ? va_arg(ap, int) : 0;
	va_end(ap);
	return set_flags(fd, command, flags);
}

int __wrap_fcntl64(int fd, int command, ...)
	__attribute__((alias("__wrap_fcntl")));
