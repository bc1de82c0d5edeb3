// SPDX-License-Identifier: MIT
/* kmsg.c - The kernel's messages as lines of the console */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kmsg.h"
#include "options.h"
#include "say.h"

/* "PRIORITY,SEQUENCE,µs,FLAGS;TEXT": Documentation/ABI/testing/dev-kmsg */
static void record_print(char *record)
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

static void *kmsg_thread(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char record[8192];

	for (;;) {
		ssize_t n = read(fd, record, sizeof(record) - 1);

		/* EPIPE: the kernel dropped some; read the next one */
		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (n <= 0)
			break;
		record[n] = '\0';
		record_print(record);
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
		pthread_create(&thread, NULL, kmsg_thread,
			       (void *)(intptr_t)fd);
}
