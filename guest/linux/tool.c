// SPDX-License-Identifier: MIT
/* tool.c - Existing programs that check memory */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "options.h"
#include "say.h"
#include "tool.h"

#define TOOLS_MAX	2

struct tool {
	const char *name;
	char size[24];
	_Atomic pid_t pid;
	int out;
};

static struct tool tools[TOOLS_MAX];
static unsigned n_tools;

static void tool_exec(const struct tool *t)
{
	if (!strcmp(t->name, "stress-ng"))
		execlp(t->name, t->name, "--verify", "--vm", "1", "--vm-bytes",
		       t->size, "--vm-keep", "--cpu", "1", "--temp-path",
		       "/tmp", "--timeout", "0", NULL);
	else
		execlp(t->name, t->name, t->size, NULL);
	_exit(127);
}

static void tool_reap(struct tool *t)
{
	pid_t pid = t->pid;
	int status = 0;
	bool good;

	t->pid = 0;
	waitpid(pid, &status, 0);
	/* memtester runs until tool_stop() interrupts it */
	good = WIFEXITED(status) ? !WEXITSTATUS(status)
				 : WTERMSIG(status) == SIGINT;
	if (!good)
		faults_add(1);
	say("tool name=%s status=%d good=%d", t->name,
	    WIFEXITED(status) ? WEXITSTATUS(status)
			      : 128 + WTERMSIG(status), good);
}

/* memtester prints an error and continues, possibly for ever */
static bool line_is_failure(const char *line)
{
	return strstr(line, "FAILURE") || strstr(line, "fail:");
}

/* Apply backspaces, by which memtester overwrites its progress */
static void line_apply_backspaces(char *line)
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

static void *tool_thread(void *arg)
{
	struct tool *t = arg;
	FILE *f = fdopen(t->out, "r");
	char *line = NULL;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 0) {
		line_apply_backspaces(line);
		if (line_is_failure(line))
			faults_add(1);
		say("tool name=%s %s", t->name, line);
	}
	free(line);
	if (f)
		fclose(f);
	tool_reap(t);
	return NULL;
}

static void tool_child(struct tool *t, int out)
{
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	/* A process group: an interrupt reaches all its processes */
	setpgid(0, 0);
	signal(SIGBUS, SIG_DFL);
	tool_exec(t);
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
		tool_child(t, fd[1]);
	close(fd[1]);
	n_tools++;
	pthread_create(&thread, NULL, tool_thread, t);
}

void tool_stop(void)
{
	for (unsigned i = 0; i < n_tools; i++)
		if (tools[i].pid > 0)
			kill(tools[i].pid, SIGINT);
}
