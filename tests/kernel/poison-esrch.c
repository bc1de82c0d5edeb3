// SPDX-License-Identifier: MIT
/*
 * poison-esrch.c - ESRCH: the process that owns the memory has exited
 *
 * Man page: "The faulting process has exited at the time of a UFFDIO_POISON
 * operation." The child shares our file descriptors but not our memory: what
 * it opens stays open here after it has exited.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "ktest.h"

#define CHILD_FD 100

static void child(struct mapping *m, int go)
{
	char c;
	int uffd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	uffd = uffd_missing(m);
	CHECK(dup2(uffd, CHILD_FD) == CHILD_FD, "dup2: %m");
	/* Stay until the parent has seen that the ioctl works */
	CHECK(read(go, &c, 1) == 1, "read: %m");
	_exit(KTEST_OK);
}

static void exited(struct mapping *m)
{
	int go[2], status;
	pid_t pid;

	CHECK(!pipe(go), "pipe: %m");
	pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	CHECK(pid >= 0, "clone: %m");
	if (!pid)
		child(m, go[0]);
	while (fcntl(CHILD_FD, F_GETFD) < 0)
		CHECK(waitpid(pid, &status, WNOHANG) == 0, "the child ended");

	EXPECT(0, uffd_poison(CHILD_FD, m->addr, PAGE));
	CHECK(write(go[1], "", 1) == 1, "write: %m");
	ktest_reap(pid);

	EXPECT(-ESRCH, uffd_poison(CHILD_FD, m->addr + PAGE, PAGE));
	/* The kernel checks the arguments first */
	EXPECT(-EINVAL, uffd_poison(CHILD_FD, m->addr + 1, PAGE));
	CHECK(!poisoned(m->addr), "our own page was poisoned");
}

static const struct kcase cases[] = {
	{ "exited", "ESRCH once the owner has exited", exited, ON_BOTH },
};

KTEST_MAIN(cases)
