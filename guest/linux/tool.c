// SPDX-License-Identifier: MIT
/* tool.c - Programs of others that check memory, run as they are */

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux.h"

#define TOOLS_MAX	2

struct tool {
	const char *name;
	char size[24];
	_Atomic pid_t pid;
	int out;
};

static struct tool tools[TOOLS_MAX];
static unsigned n_tools;

static void run(const struct tool *t)
{
	if (!strcmp(t->name, "stress-ng"))
		execlp(t->name, t->name, "--verify", "--vm", "1", "--vm-bytes",
		       t->size, "--vm-keep", "--cpu", "1", "--temp-path",
		       "/tmp", "--timeout", "0", NULL);
	else
		execlp(t->name, t->name, t->size, NULL);
	_exit(127);
}

static void ended(struct tool *t)
{
	pid_t pid = t->pid;
	int status = 0;
	bool good;

	t->pid = 0;
	waitpid(pid, &status, 0);
	/* memtester doesn't end by itself: it is interrupted */
	good = WIFEXITED(status) ? !WEXITSTATUS(status)
				 : WTERMSIG(status) == SIGINT;
	if (!good)
		bad_count(1);
	say("tool name=%s status=%d good=%d", t->name,
	    WIFEXITED(status) ? WEXITSTATUS(status)
			      : 128 + WTERMSIG(status), good);
}

/* memtester tells an error and goes on, and may never end */
static bool tells_failure(const char *line)
{
	return strstr(line, "FAILURE") || strstr(line, "fail:");
}

/* What a terminal shows in the end: memtester writes over its own progress */
static void as_seen(char *line)
{
	size_t at = 0, end = 0;

	for (const char *from = line; *from && *from != '\n'; from++) {
		if (*from == '\b') {
			at -= at > 0;
			continue;
		}
		line[at++] = *from;
		if (at > end)
			end = at;
	}
	while (end && line[end - 1] == ' ')
		end--;
	line[end] = '\0';
}

static void *listen_to(void *arg)
{
	struct tool *t = arg;
	FILE *f = fdopen(t->out, "r");
	char *line = NULL;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 0) {
		as_seen(line);
		if (tells_failure(line))
			bad_count(1);
		say("tool name=%s %s", t->name, line);
	}
	free(line);
	if (f)
		fclose(f);
	ended(t);
	return NULL;
}

static void child(struct tool *t, int out)
{
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	/* One group, so that an interrupt reaches all of it */
	setpgid(0, 0);
	signal(SIGBUS, SIG_DFL);
	run(t);
}

void tool_start(const char *name)
{
	struct tool *t = &tools[n_tools];
	bool stress = !strcmp(name, "stress-ng");
	pthread_t thread;
	int fd[2];

	if (n_tools == TOOLS_MAX || pipe2(fd, O_CLOEXEC))
		return;
	t->name = name;
	snprintf(t->size, sizeof(t->size), "%lluM", (unsigned long long)
		 (stress ? options.stress_mib : options.memtester_mib));
	t->out = fd[0];
	t->pid = fork();
	if (!t->pid)
		child(t, fd[1]);
	close(fd[1]);
	n_tools++;
	pthread_create(&thread, NULL, listen_to, t);
}

void tool_stop(void)
{
	for (unsigned i = 0; i < n_tools; i++)
		if (tools[i].pid > 0)
			kill(tools[i].pid, SIGINT);
}
