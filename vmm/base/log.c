// SPDX-License-Identifier: MIT
/* log.c - Lines for the person at the terminal */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "log.h"

/* Set once by log_open(), before any thread is started */
static char log_prefix[80] = "ferry: ";
static int log_fd = -1;

int log_open(const char *name, const char *path)
{
	if (name)
		snprintf(log_prefix, sizeof(log_prefix), "ferry %s: ", name);
	if (!path)
		return 0;

	log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return log_fd < 0 ? -errno : 0;
}

void log_line(const char *fmt, ...)
{
	int saved = errno;
	char line[700];
	va_list ap;
	int n, m;

	n = snprintf(line, sizeof(line), "%s", log_prefix);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);

	n += m < 0 ? 0 : m;
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';

	/* One write, so that lines of several threads don't interleave */
	if (write(STDERR_FILENO, line, n) < 0 && log_fd < 0) {
		errno = saved;
		return;
	}
	/* A full disk must not stop a migration: the line is on stderr */
	if (log_fd >= 0 && write(log_fd, line, n) < 0)
		dprintf(STDERR_FILENO, "%scannot write the log: %m\n",
			log_prefix);
	errno = saved;
}
