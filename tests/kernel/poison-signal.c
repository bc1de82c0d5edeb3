// SPDX-License-Identifier: MIT
/*
 * poison-signal.c - The SIGBUS of poison cannot be avoided
 *
 * Man page: "Future accesses to these addresses will raise a SIGBUS signal."
 * The signal is forced on the thread that made the access: a process with no
 * handler, one that ignores SIGBUS and a thread that blocks it end by it. With
 * a handler the thread that made the access gets it, and no other.
 */
#include <sys/prctl.h>
#include <sys/wait.h>

#include "ktest.h"

/* A child that inherits nothing of the poison: it makes its own */
static void ends_by_sigbus(struct mapping *m, void (*prepare)(void))
{
	pid_t pid = ktest_fork();
	int status;

	if (!pid) {
		int uffd = uffd_missing(m);

		prctl(PR_SET_DUMPABLE, 0);	/* no core file */
		EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
		prepare();
		*(volatile unsigned char *)m->addr;
		CHECK(false, "the access went through");
	}
	CHECK(waitpid(pid, &status, 0) == pid, "waitpid: %m");
	ktest_check_verdict();
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS,
	      "the child ended with wait status 0x%x", status);
}

static void set_default(void)
{
	signal(SIGBUS, SIG_DFL);
}

static void set_ignored(void)
{
	signal(SIGBUS, SIG_IGN);
}

static void set_blocked(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void unhandled(struct mapping *m)
{
	ends_by_sigbus(m, set_default);
}

static void ignored(struct mapping *m)
{
	ends_by_sigbus(m, set_ignored);
}

static void blocked(struct mapping *m)
{
	ends_by_sigbus(m, set_blocked);
}

static void own_thread(struct mapping *m)
{
	int uffd = uffd_missing(m);
	struct toucher t[4];
	siginfo_t si;

	EXPECT(0, uffd_poison(uffd, m->addr, m->len));
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		toucher_start(&t[i], m->addr + i * PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct touch got = toucher_join(&t[i]);

		CHECK(got.signo == SIGBUS, "thread %zu: no SIGBUS", i);
		CHECK((unsigned char *)got.addr == m->addr + i * PAGE,
		      "thread %zu: si_addr is another thread's", i);
	}
	CHECK(!last_sigbus(&si), "the main thread got a SIGBUS");
}

static const struct kcase cases[] = {
	{ "default", "with no handler the process ends by SIGBUS", unhandled,
	  ON_BOTH },
	{ "ignored", "ignoring SIGBUS does not help", ignored, ON_BOTH },
	{ "blocked", "nor does blocking it", blocked, ON_BOTH },
	{ "thread", "the thread that made the access gets it, no other",
	  own_thread, ON_BOTH },
};

KTEST_MAIN(cases)
