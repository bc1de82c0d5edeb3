// SPDX-License-Identifier: MIT
/* sigbus.c - SIGBUS: the kernel's notification of lost memory */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sigbus.h"
#include "vmm/base/page.h"

static _Thread_local struct sigbus *watch;

/* Where sigbus_copy() continues in this thread after a SIGBUS */
static _Thread_local sigjmp_buf *escape;

/* Written by sigbus_install() before any thread that could get a SIGBUS */
static int pipe_in = -1;

static void on_sigbus(int sig, siginfo_t *info, void *uc)
{
	struct sigbus s = {
		.addr = (uintptr_t)info->si_addr,
		.lsb = GUEST_PAGE_SHIFT,
		.seen = true,
	};
	int saved = errno;

	/* si_addr_lsb is not what was lost: 0 without CONFIG_MEMORY_FAILURE,
	 * 21 for a small page of a huge one, whose address si_addr has
	 */
	(void)uc;
	if (info->si_code == BUS_MCEERR_AO) {
		/* Lost if the pipe is full: the page raises SIGBUS on touch */
		if (write(pipe_in, &s, sizeof(s)) < 0)
			errno = saved;
	} else if (escape && info->si_code > 0) {
		errno = saved;
		siglongjmp(*escape, 1);
	} else if (watch && info->si_code > 0) {
		*watch = s;
	} else {
		signal(sig, SIG_DFL);
		raise(sig);
	}
	errno = saved;
}

int sigbus_install(struct error *err)
{
	struct sigaction sa = {
		.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO,
	};
	int fd[2];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK))
		return error_set(err, errno, "cannot make a pipe: %s",
				 strerrordesc_np(errno));
	pipe_in = fd[1];
	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, NULL);

	/* EINVAL where the kernel has no CONFIG_MEMORY_FAILURE, which reports
	 * no errors early
	 */
	prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
	return fd[0];
}

struct sigbus *sigbus_watch(struct sigbus *s)
{
	struct sigbus *before = watch;

	watch = s;
	return before;
}

bool sigbus_copy(void *to, const void *from, size_t len)
{
	sigjmp_buf here;
	sigset_t bus;

	if (pipe_in < 0)
		return false;
	/* Without saving the mask, which costs a system call */
	if (sigsetjmp(here, 0)) {
		escape = NULL;
		sigemptyset(&bus);
		sigaddset(&bus, SIGBUS);
		pthread_sigmask(SIG_UNBLOCK, &bus, NULL);
		return false;
	}
	escape = &here;
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(to, from, len);
	atomic_signal_fence(memory_order_seq_cst);
	escape = NULL;
	return true;
}
