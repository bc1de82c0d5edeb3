// SPDX-License-Identifier: MIT
/* priority.c - Who goes first where threads share a core */

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "priority.h"

#define NICE_FAULTS	-20

void priority_raise(void)
{
	struct sched_param p = { .sched_priority = 1 };

	/* On Linux a nice value is a thread's own (setpriority(2), Notes) */
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p))
		setpriority(PRIO_PROCESS, (id_t)gettid(), NICE_FAULTS);
}
