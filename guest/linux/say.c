// SPDX-License-Identifier: MIT
/* say.c - Lines on the console, each whole */

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "linux.h"

#define LINE_MAX	1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool half;		/* a line was begun, the others wait: */
static char waiting[1 << 16];
static size_t waiting_bytes;

static void put(const char *text, size_t n)
{
	while (n) {
		ssize_t rc = write(STDOUT_FILENO, text, n);

		if (rc <= 0)
			return;
		text += rc;
		n -= (size_t)rc;
	}
}

/* What no longer fits is lost: a line that is missing is noticed */
static void keep(const char *text, size_t n)
{
	if (n > sizeof(waiting) - waiting_bytes)
		return;
	memcpy(waiting + waiting_bytes, text, n);
	waiting_bytes += n;
}

void say(const char *format, ...)
{
	char line[LINE_MAX];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	pthread_mutex_lock(&lock);
	if (half)
		keep(line, (size_t)n);
	else
		put(line, (size_t)n);
	pthread_mutex_unlock(&lock);
}

void say_half(const char *text)
{
	pthread_mutex_lock(&lock);
	put(text, strlen(text));
	half = true;
	pthread_mutex_unlock(&lock);
}

void say_rest(const char *text)
{
	pthread_mutex_lock(&lock);
	put(text, strlen(text));
	put("\n", 1);
	put(waiting, waiting_bytes);
	waiting_bytes = 0;
	half = false;
	pthread_mutex_unlock(&lock);
}
