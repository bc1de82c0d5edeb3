// SPDX-License-Identifier: MIT
/*
 * vcpu-exit.c - A killed VMM whose vCPU is blocked on a missing page
 *
 * The VMM ends, also if another process has a copy of its userfaultfd. (Where
 * async page faults are possible, a kernel worker stays blocked until the last
 * copy is closed.) For a process that closes a VM and continues see vcpu-close.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kguest.h"

static void *run_main(void *arg)
{
	guest_run(arg);
	return NULL;
}

/* Block a vCPU, notify the parent, and wait to be killed */
static void child(struct mapping *m, unsigned flags, int tell)
{
	int uffd = uffd_missing(m);
	struct uffd_msg msg;
	pthread_t thread;
	struct guest g;

	guest_create(&g, m, flags);
	guest_set(&g, OP_READ, GUEST_RAM, 0);
	CHECK(!pthread_create(&thread, NULL, run_main, &g), "no thread");
	uffd_wait_fault(uffd, &msg);
	CHECK(write(tell, &uffd, sizeof(uffd)) == sizeof(uffd), "write: %m");
	for (;;)
		pause();
}

static bool ended(int pidfd, int ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* Kill the child, with or without a copy of its userfaultfd in this process */
static void kill_blocked(struct mapping *m, unsigned flags, bool keep)
{
	int p[2], fd, pidfd, copy = -1;
	pid_t pid;

	CHECK(!pipe(p), "pipe: %m");
	pid = ktest_fork();
	if (!pid)
		child(m, flags, p[1]);
	close(p[1]);
	if (read(p[0], &fd, sizeof(fd)) != sizeof(fd))
		ktest_reap(pid);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	CHECK(pidfd >= 0, "pidfd_open: %m");
	if (keep) {
		copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
		CHECK(copy >= 0, "pidfd_getfd: %m");
	}
	kill(pid, SIGKILL);
	CHECK(ended(pidfd, 1000 * CASE_SECONDS / 2), "the killed process does "
	      "not end");
	close(copy);
}

static void own(struct mapping *m)
{
	kill_blocked(m, 0, false);
}

static void own_irqchip(struct mapping *m)
{
	kill_blocked(m, GUEST_IRQCHIP, false);
}

static void kept(struct mapping *m)
{
	kill_blocked(m, 0, true);
}

static void kept_irqchip(struct mapping *m)
{
	kill_blocked(m, GUEST_IRQCHIP, true);
}

static const struct kcase cases[] = {
	{ "kept", "a killed VMM ends, others holding its userfaultfd", kept,
	  ON_BOTH },
	{ "kept-irqchip", "the same where async page faults are possible",
	  kept_irqchip, ON_BOTH },
	{ "own", "a killed VMM ends", own, ON_BOTH },
	{ "own-irqchip", "the same where async page faults are possible",
	  own_irqchip, ON_BOTH },
};

KTEST_MAIN(cases)
