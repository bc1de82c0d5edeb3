// SPDX-License-Identifier: MIT
/* say.c - Lines on the console, each whole */

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "say.h"

#define LINE_MAX	1024

static pthread_mutex_t say_lock = PTHREAD_MUTEX_INITIALIZER;
static bool half_open;		/* say_half() began a line */
static char held[1 << 16];
static size_t held_bytes;

static void console_write(const char *text, size_t n)
{
	while (n) {
		ssize_t rc = write(STDOUT_FILENO, text, n);

		if (rc <= 0)
			return;
		text += rc;
		n -= (size_t)rc;
	}
}

/* A line that does not fit is dropped: tests notice the missing line */
static void held_append(const char *text, size_t n)
{
	if (n > sizeof(held) - held_bytes)
		return;
	memcpy(held + held_bytes, text, n);
	held_bytes += n;
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
	pthread_mutex_lock(&say_lock);
	if (half_open)
		held_append(line, (size_t)n);
	else
		console_write(line, (size_t)n);
	pthread_mutex_unlock(&say_lock);
}

void say_half(const char *text)
{
	pthread_mutex_lock(&say_lock);
	console_write(text, strlen(text));
	half_open = true;
	pthread_mutex_unlock(&say_lock);
}

void say_rest(const char *text)
{
	pthread_mutex_lock(&say_lock);
	console_write(text, strlen(text));
	console_write("\n", 1);
	console_write(held, held_bytes);
	held_bytes = 0;
	half_open = false;
	pthread_mutex_unlock(&say_lock);
}
