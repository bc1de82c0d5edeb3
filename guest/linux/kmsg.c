// SPDX-License-Identifier: MIT
/* kmsg.c - What the kernel says, as lines among the others */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "linux.h"

/* "PRIORITY,SEQUENCE,µs,FLAGS;TEXT": Documentation/ABI/testing/dev-kmsg */
static void line(char *record)
{
	unsigned priority;
	unsigned long long seq, t_us;
	char *text = strchr(record, ';');

	if (!text || sscanf(record, "%u,%llu,%llu", &priority, &seq,
			    &t_us) != 3 || (priority & 7) > options.kmsg)
		return;
	text++;
	text[strcspn(text, "\n")] = '\0';
	say("kmsg level=%u t_us=%llu %s", priority & 7, t_us, text);
}

static void *pump(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char record[8192];

	for (;;) {
		ssize_t n = read(fd, record, sizeof(record) - 1);

		/* EPIPE: some were lost, the next one is read next */
		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (n <= 0)
			break;
		record[n] = '\0';
		line(record);
	}
	say("error kmsg=%s reason=ended", strerrorname_np(errno));
	return NULL;
}

void kmsg_start(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_CLOEXEC);
	pthread_t thread;

	if (fd < 0)
		say("error kmsg=/dev/kmsg reason=cannot-open");
	else
		pthread_create(&thread, NULL, pump, (void *)(intptr_t)fd);
}
