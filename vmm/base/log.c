// SPDX-License-Identifier: MIT
/*
 * log.c - Messages to the user, one line each
 *
 * Standard error and the log file are two sinks, each with its own queue and
 * thread, so that one of them that blocks does not hold up the other.
 *
 * The queue is a bounded ring for many producers and one consumer (D. Vyukov,
 * "Bounded MPMC queue"). Each slot has a turn number. A producer may fill slot
 * i % LOG_QUEUE when the slot's turn is i, and claims it by moving @tail from i
 * to i + 1; it then writes the line and sets the turn to i + 1. The consumer
 * reads the slot when its turn is i + 1, and sets the turn to i + LOG_QUEUE,
 * which is the next producer's. If the turn is still less than i, the slot was
 * not read since the ring went round: the queue is full. No thread ever waits
 * for a producer that was preempted halfway, except the consumer.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "thread.h"

#define LINE_MAX_LEN	725
#define POLL_MS		100
#define STAMP_LEN	25	/* 2026-11-27T10:54:47.123Z and a space */

struct log_slot {
	atomic_uint turn;
	unsigned dropped;	/* lines dropped just before this one */
	size_t len;
	char text[LINE_MAX_LEN];
};

/**
 * struct log_sink - Where lines are written
 * @fd:		descriptor, or -1
 * @broken:	a write failed, which was reported: only @writer uses it
 * @running:	@writer exists: lines are queued
 * @stop:	@writer ends when the queue is empty, or at @deadline
 * @deadline:	ms of CLOCK_MONOTONIC, set before @stop
 * @given_up:	lines were not written by @deadline: no line is written again
 * @filled:	posted for each line queued, and for @stop
 * @writer:	thread that consumes the queue
 * @tail:	lines ever queued
 * @head:	lines ever taken: only @writer uses it
 * @dropped:	lines dropped since the last line that was queued
 * @ring:	the queue
 */
struct log_sink {
	int fd;
	bool broken, given_up;
	int64_t deadline;
	atomic_bool running, stop;
	sem_t filled;
	pthread_t writer;
	atomic_uint tail, dropped;
	unsigned head;
	struct log_slot ring[LOG_QUEUE];
};

/* Set by log_open(), before other threads exist */
static char log_prefix[80] = "ferry: ";

enum { SINK_STDERR, SINK_FILE, SINKS };

static struct log_sink log_sinks[SINKS] = {
	{ .fd = STDERR_FILENO }, { .fd = -1 },
};

int log_open(const char *name, const char *path)
{
	struct log_sink *file = &log_sinks[SINK_FILE];

	if (name)
		snprintf(log_prefix, sizeof(log_prefix), "ferry %s: ", name);
	if (!path)
		return 0;

	file->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return file->fd < 0 ? -errno : 0;
}

/* Return: STAMP_LEN */
static int stamp(char *to, size_t size)
{
	struct timespec t;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	n = strftime(to, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(to + n, size - n, ".%03ldZ ", t.tv_nsec / 1000000);
	return STAMP_LEN;
}

/*
 * What the guest prints may end in the middle of a line. The writers of both
 * outputs change this without a lock: at worst a line is cut, or one is empty.
 */
static atomic_bool shared, shared_unfinished;

void log_share(void)
{
	shared = true;
}

void log_shared_output(char last)
{
	shared_unfinished = shared && last != '\n';
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/*
 * Wait until a write will not block: a pipe that poll(2) reports writable takes
 * PIPE_BUF bytes, more than a line. Return: false after log_stop()'s deadline.
 */
static bool sink_wait(struct log_sink *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };

	while (!s->given_up && !poll(&p, 1, POLL_MS))
		s->given_up = atomic_load(&s->stop) && now_ms() >= s->deadline;
	return !s->given_up;
}

static void sink_write(struct log_sink *s, const char *text, size_t n)
{
	if (s == &log_sinks[SINK_STDERR] &&
	    atomic_exchange(&shared_unfinished, false))
		sink_write(s, "\n", 1);
	while (n && sink_wait(s)) {
		ssize_t done = write(s->fd, text, n);

		/* EAGAIN: a process that shares the terminal set O_NONBLOCK */
		if (done < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (done < 0) {
			if (s == &log_sinks[SINK_FILE] && !s->broken)
				log_line("cannot write the log file: %m");
			s->broken = true;
			return;
		}
		text += done;
		n -= (size_t)done;
	}
}

static void sink_queue(struct log_sink *s, const char *text, size_t n)
{
	unsigned i = atomic_load(&s->tail);
	struct log_slot *slot;
	int ahead;

	for (;;) {
		slot = &s->ring[i % LOG_QUEUE];
		ahead = (int)(atomic_load(&slot->turn) - i);
		if (ahead < 0) {
			atomic_fetch_add(&s->dropped, 1);
			return;
		}
		if (ahead)
			i = atomic_load(&s->tail);
		else if (atomic_compare_exchange_weak(&s->tail, &i, i + 1))
			break;
	}
	slot->dropped = atomic_exchange(&s->dropped, 0);
	slot->len = n;
	memcpy(slot->text, text, n);
	atomic_store(&slot->turn, i + 1);
	sem_post(&s->filled);
}

static void sink_report_dropped(struct log_sink *s, unsigned dropped)
{
	char text[200];
	int n = s == &log_sinks[SINK_FILE] ? stamp(text, sizeof(text)) : 0;

	if (!dropped)
		return;
	n += snprintf(text + n, sizeof(text) - (size_t)n,
		      "%s%u messages dropped: they came faster than they were read\n",
		      log_prefix, dropped);
	sink_write(s, text, (size_t)n);
}

/* Return: false if no line is queued */
static bool sink_write_next(struct log_sink *s)
{
	struct log_slot *slot = &s->ring[s->head % LOG_QUEUE];

	if (atomic_load(&slot->turn) != s->head + 1)
		return false;
	sink_report_dropped(s, slot->dropped);
	sink_write(s, slot->text, slot->len);
	atomic_store(&slot->turn, s->head + LOG_QUEUE);
	s->head++;
	return true;
}

static void *sink_main(void *arg)
{
	struct log_sink *s = arg;

	for (;;) {
		while (sem_wait(&s->filled))
			;
		while (sink_write_next(s))
			;
		sink_report_dropped(s, atomic_exchange(&s->dropped, 0));
		if (atomic_load(&s->stop) &&
		    atomic_load(&s->tail) == s->head)
			return NULL;
	}
}

/* In a child of fork(2) the writers do not exist */
static void log_forked(void)
{
	for (unsigned i = 0; i < SINKS; i++)
		log_sinks[i].running = false;
}

static int sink_start(struct log_sink *s)
{
	int rc;

	if (s->fd < 0 || s->running)
		return 0;
	for (unsigned i = 0; i < LOG_QUEUE; i++)
		s->ring[i].turn = i;
	s->head = 0;
	s->tail = 0;
	s->dropped = 0;
	s->stop = false;
	sem_init(&s->filled, 0, 0);
	rc = thread_start(&s->writer, "log", sink_main, s);
	s->running = !rc;
	return rc;
}

int log_start(void)
{
	static bool registered;
	int rc = registered ? 0 : -pthread_atfork(NULL, NULL, log_forked);

	registered = registered || !rc;
	for (unsigned i = 0; !rc && i < SINKS; i++)
		rc = sink_start(&log_sinks[i]);
	return rc;
}

void log_stop(void)
{
	for (unsigned i = 0; i < SINKS; i++) {
		struct log_sink *s = &log_sinks[i];

		if (!atomic_exchange(&s->running, false))
			continue;
		s->deadline = now_ms() + LOG_FLUSH_MS;
		s->stop = true;
		sem_post(&s->filled);
		/* A terminal may block although poll(2) reports it writable */
		if (thread_finish(s->writer, LOG_FLUSH_MS + 10 * POLL_MS))
			s->given_up = true;
		sem_destroy(&s->filled);
	}
}

void log_line(const char *fmt, ...)
{
	int saved = errno;
	char line[LINE_MAX_LEN];
	va_list ap;
	int n, m;

	n = stamp(line, sizeof(line));
	n += snprintf(line + n, sizeof(line) - (size_t)n, "%s", log_prefix);
	va_start(ap, fmt);
	errno = saved;	/* for %m */
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);

	n += m < 0 ? 0 : m;
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';

	for (unsigned i = 0; i < SINKS; i++) {
		struct log_sink *s = &log_sinks[i];

		size_t skip = i == SINK_STDERR ? STAMP_LEN : 0;

		if (atomic_load(&s->running))
			sink_queue(s, line + skip, (size_t)n - skip);
		else if (s->fd >= 0)
			sink_write(s, line + skip, (size_t)n - skip);
	}
	errno = saved;
}
