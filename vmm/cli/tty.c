// SPDX-License-Identifier: MIT
/*
 * tty.c - A terminal whose every key goes to somebody else
 *
 * tcsetattr() is safe in a signal handler (signal-safety(7)). A fatal signal
 * is raised again with its default action, so that the program still ends by it.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "tty.h"

static struct termios cooked, raw;
static volatile sig_atomic_t changed;

/* In the background it is somebody else's. Without job control it is ours */
static bool is_ours(void)
{
	pid_t front = tcgetpgrp(STDIN_FILENO);

	return front < 0 || front == getpgrp();
}

void tty_restore(void)
{
	bool was_raw = changed;

	changed = 0;		/* SIGCONT leaves it alone from here on */
	if (was_raw && is_ours())
		tcsetattr(STDIN_FILENO, TCSADRAIN, &cooked);
}

static void raise_default(int sig)
{
	sigset_t set;

	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Not to wait for output that nobody takes: the program is about to end */
static void put_back(void)
{
	if (is_ours())
		tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
}

static void on_fatal(int sig)
{
	put_back();
	raise_default(sig);
}

static void on_stop(int sig);

/* A read in the background must not be restarted where its SIGTTIN is only
 * noted and handled later, as by TSan: it would be restarted for ever
 */
static void watch(int sig, void (*fn)(int))
{
	struct sigaction sa = {
		.sa_handler = fn,
		.sa_flags = sig == SIGTTIN ? 0 : SA_RESTART,
	};

	/* Only what is ready to be stopped again becomes raw again */
	sigemptyset(&sa.sa_mask);
	if (fn == on_stop)
		sigaddset(&sa.sa_mask, SIGCONT);
	sigaction(sig, &sa, NULL);
}

/* Stopped from outside, or by reading in the background */
static void on_stop(int sig)
{
	int before = errno;

	put_back();
	raise_default(sig);
	watch(sig, on_stop);
	errno = before;
}

/* A shell gives its terminal back before it says so */
static void on_continue(int sig)
{
	int before = errno;

	(void)sig;
	if (changed && is_ours())
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	errno = before;
}

bool tty_raw(void)
{
	static const int fatal[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT, SIGSEGV, SIGBUS,
		SIGILL, SIGFPE, SIGALRM, SIGUSR1, SIGUSR2,
	};

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &cooked))
		return false;
	for (unsigned i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		watch(fatal[i], on_fatal);
	watch(SIGTSTP, on_stop);
	watch(SIGTTIN, on_stop);
	watch(SIGCONT, on_continue);
	signal(SIGTTOU, SIG_IGN);
	raw = cooked;
	cfmakeraw(&raw);
	atexit(tty_restore);
	changed = 1;
	if (is_ours())
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	return true;
}
