// SPDX-License-Identifier: MIT
/* web_demo.c - The demonstration: a test guest and a waiting destination */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/runtime.h"
#include "web_demo.h"
#include "web_private.h"

#define NAMES_MAX	100	/* demonstrations of one user at a time */
#define END_MS		3000	/* for a machine to end by itself */
#define SERIAL_MS	250	/* between the guest's reports */

enum { HOME, AWAY, SIDES };

/**
 * struct web_demo - The machines
 * @pid:	their processes, 0 if there is none
 * @name:	their names
 * @uri:	where the destination waits
 */
struct web_demo {
	pid_t pid[SIDES];
	char name[SIDES][24];
	char uri[RUNTIME_PATH_MAX + 8];
};

/* A file next to this program, or where `make install` puts it */
static int find_guest(char *path, char *self, struct error *err)
{
	static const char *const places[] = {
		"guest.elf", "../share/ferry/guest.elf",
	};
	ssize_t n = readlink("/proc/self/exe", self, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return error_set(err, errno, "/proc/self/exe: %m");
	self[n] = '\0';
	slash = strrchr(self, '/');
	for (unsigned i = 0; slash && i < 2; i++) {
		n = snprintf(path, PATH_MAX, "%.*s/%s", (int)(slash - self),
			     self, places[i]);
		if (n < PATH_MAX && !access(path, R_OK))
			return 0;
	}
	return error_set(err, ENOENT, "there is no test guest: guest.elf is "
		"neither next to %s nor in ../share/ferry; `make` builds it",
		self);
}

/* Names that no machine has, alive or killed */
static int choose_names(struct web_demo *d, struct error *err)
{
	char home[RUNTIME_PATH_MAX], away[RUNTIME_PATH_MAX];
	bool found = false;
	int rc = 0;

	for (unsigned i = 1; i <= NAMES_MAX && !rc && !found; i++) {
		snprintf(d->name[HOME], sizeof(d->name[HOME]), "home%u", i);
		snprintf(d->name[AWAY], sizeof(d->name[AWAY]), "away%u", i);
		rc = runtime_path(d->name[HOME], home, sizeof(home), err);
		if (!rc)
			rc = runtime_path(d->name[AWAY], away, sizeof(away),
					  err);
		found = !rc && access(home, F_OK) && access(away, F_OK);
	}
	if (rc)
		return rc;
	if (!found)
		return error_set(err, EEXIST, "home1 to home%d or their away "
				 "machines exist already", NAMES_MAX);
	strcpy(strrchr(away, '.'), ".move");
	unlink(away);
	snprintf(d->uri, sizeof(d->uri), "unix:%s", away);
	return 0;
}

/* Between fork and exec: no other thread exists here */
static void become(char *const *argv, pid_t parent)
{
	struct rlimit limit;
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	close(STDIN_FILENO);
	execv(argv[0], argv);
	_exit(EXIT_FAILURE);
}

static pid_t start(char *const *argv, struct error *err)
{
	const pid_t parent = getpid();
	pid_t pid = fork();

	if (!pid)
		become(argv, parent);
	if (pid < 0)
		error_set(err, errno, "cannot start a process: %m");
	return pid;
}

static pid_t start_home(struct web_demo *d, const struct web_action *a,
			char *self, char *guest, struct error *err)
{
	char memory[24], cpus[24], append[160];
	char *argv[] = { self, "run", "--name", d->name[HOME], "--memory",
			 memory, "--cpus", cpus, "--kernel", guest,
			 "--append", append, "--serial", "none", NULL };

	snprintf(memory, sizeof(memory), "%lldM", (long long)a->memory);
	snprintf(cpus, sizeof(cpus), "%lld", (long long)a->cpus);
	snprintf(append, sizeof(append), "work=%s seed=%d interval_ms=%d%s",
		 a->work, (int)getpid(), SERIAL_MS,
		 strcmp(a->work, "dirty") ? "" : " rate=6000");
	return start(argv, err);
}

static pid_t start_away(struct web_demo *d, char *self, struct error *err)
{
	char *argv[] = { self, "receive", "--name", d->name[AWAY],
			 "--serial", "none", d->uri, NULL };

	return start(argv, err);
}

int web_demo_start(struct web *w, const struct web_action *a,
		   struct error *err)
{
	char self[PATH_MAX], guest[PATH_MAX];
	struct web_demo *d;
	int rc = find_guest(guest, self, err);

	if (rc)
		return rc;
	web_demo_end(w);
	d = calloc(1, sizeof(*d));
	if (!d)
		return error_set(err, ENOMEM, "out of memory");
	w->demo = d;
	rc = choose_names(d, err);
	if (!rc) {
		d->pid[HOME] = start_home(d, a, self, guest, err);
		d->pid[AWAY] = start_away(d, self, err);
		rc = err->code ? -err->code : 0;
	}
	if (rc)
		web_demo_end(w);
	return rc;
}

const char *web_demo_uri(const struct web *w, const char *id)
{
	return w->demo && !strcmp(w->demo->name[AWAY], id) ? w->demo->uri
							    : NULL;
}

/* The first signal may be refused while a guest needs the machine's pages */
static void ask_end(pid_t pid)
{
	kill(pid, SIGTERM);
	kill(pid, SIGINT);
}

static void await_end(pid_t pid)
{
	for (unsigned ms = 0; ms < END_MS; ms += 10) {
		if (waitpid(pid, NULL, WNOHANG))
			return;
		usleep(10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void web_demo_end(struct web *w)
{
	struct web_demo *d = w->demo;

	if (!d)
		return;
	for (unsigned i = 0; i < SIDES; i++)
		if (d->pid[i] > 0)
			ask_end(d->pid[i]);
	for (unsigned i = 0; i < SIDES; i++)
		if (d->pid[i] > 0)
			await_end(d->pid[i]);
	if (*d->uri)
		unlink(d->uri + strlen("unix:"));
	free(d);
	w->demo = NULL;
}
