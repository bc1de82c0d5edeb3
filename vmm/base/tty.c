// SPDX-License-Identifier: MIT
/*
 * tty.c - Raw mode of the terminal on standard input
 *
 * tcsetattr() is safe in a signal handler (signal-safety(7)). After it restored
 * the terminal, the handler of a fatal signal raises the signal again with its
 * default action, so that the program still ends by that signal.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "tty.h"
#include "units.h"

static struct termios cooked, raw;
static volatile sig_atomic_t changed;

/* False in the background: the terminal belongs to the shell's other job */
static bool in_foreground(void)
{
	pid_t front = tcgetpgrp(STDIN_FILENO);

	return front < 0 || front == getpgrp();
}

void tty_restore(void)
{
	bool was_raw = changed;

	changed = 0;		/* SIGCONT does not set raw mode again */
	if (was_raw && in_foreground())
		tcsetattr(STDIN_FILENO, TCSADRAIN, &cooked);
}

static void set_handler(int sig, void (*fn)(int));

/*
 * Restore the terminal, and let the signal end or stop the program as usual.
 * TCSANOW: a signal handler must not wait for output to be read.
 */
static void on_signal(int sig)
{
	int before = errno;
	sigset_t set;

	if (in_foreground())
		tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);

	/* It was stopped, and continues */
	set_handler(sig, on_signal);
	errno = before;
}

/*
 * A read in the background that SIGTTIN interrupts must not be restarted: where
 * the handler runs only later, as under TSan, it would be restarted for ever.
 * SIGCONT waits until on_signal() has set its handler again.
 */
static void set_handler(int sig, void (*fn)(int))
{
	struct sigaction sa = {
		.sa_handler = fn,
		.sa_flags = sig == SIGTTIN ? 0 : SA_RESTART,
	};

	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGCONT);
	sigaction(sig, &sa, NULL);
}

/* A shell moves the job to the foreground before it sends SIGCONT */
static void on_continue(int sig)
{
	int before = errno;

	(void)sig;
	if (changed && in_foreground())
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	errno = before;
}

static bool is_default(int sig)
{
	struct sigaction sa;

	return !sigaction(sig, NULL, &sa) && !(sa.sa_flags & SA_SIGINFO) &&
	       sa.sa_handler == SIG_DFL;
}

bool tty_raw(enum tty_output output)
{
	static const int fatal[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT, SIGSEGV, SIGBUS,
		SIGILL, SIGFPE, SIGALRM, SIGUSR1, SIGUSR2,
	};

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &cooked))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(fatal); i++)
		if (is_default(fatal[i]))
			set_handler(fatal[i], on_signal);
	set_handler(SIGTSTP, on_signal);
	set_handler(SIGTTIN, on_signal);
	set_handler(SIGCONT, on_continue);
	signal(SIGTTOU, SIG_IGN);
	raw = cooked;
	cfmakeraw(&raw);
	if (output == TTY_OUTPUT_LINES)
		raw.c_oflag = cooked.c_oflag;
	atexit(tty_restore);
	changed = 1;
	if (in_foreground())
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	return true;
}
