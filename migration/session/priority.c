// SPDX-License-Identifier: MIT
/* priority.c - Scheduling policy of the migration threads */

#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "priority.h"

#define NICE_FAULTS	-20
#define SLICE_BULK_NS	100000000	/* the longest that the kernel has */

void priority_raise(void)
{
	struct sched_param p = { .sched_priority = 1 };

	/* On Linux a nice value is a thread's own (setpriority(2), Notes) */
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p))
		setpriority(PRIO_PROCESS, (id_t)gettid(), NICE_FAULTS);
}

/* sched_setattr(2), which glibc doesn't wrap before 2.41 */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

void priority_bulk(void)
{
	struct attr a = {
		.size = sizeof(a), .policy = SCHED_BATCH,
		.runtime = SLICE_BULK_NS,
	};

	/* A hint: where the kernel refuses it, the policy stays as it was */
	syscall(SYS_sched_setattr, 0, &a, 0);
}
