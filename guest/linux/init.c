// SPDX-License-Identifier: MIT
/* init.c - The first process of a Linux guest */

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "bus.h"
#include "cache.h"
#include "clock.h"
#include "command.h"
#include "kmsg.h"
#include "options.h"
#include "page.h"
#include "power.h"
#include "report.h"
#include "say.h"
#include "time.h"
#include "tool.h"
#include "verify.h"
#include "victim.h"

#define POLL_INTERVAL \
	"/sys/devices/system/machinecheck/machinecheck0/check_interval"

static void mount_all(void)
{
	static const struct {
		const char *type, *where;
	} mounts[] = {
		{ "proc", "/proc" }, { "sysfs", "/sys" },
		{ "devtmpfs", "/dev" }, { "tmpfs", "/tmp" },
		{ "tmpfs", "/dev/shm" },
	};

	for (unsigned i = 0; i < sizeof(mounts) / sizeof(*mounts); i++) {
		mkdir(mounts[i].where, 0755);
		mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, NULL);
	}
}

/* /dev/console exists only now, after devtmpfs is mounted */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	for (int i = 0; i < 3; i++)
		if (fd >= 0 && fd != i)
			dup2(fd, i);
	if (fd > 2)
		close(fd);
}

/* Commands must not appear among the lines that answer them */
static void echo_off(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &t))
		return;
	t.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

static int cmdline_read(void)
{
	char line[4096];
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	if (fd >= 0)
		close(fd);
	line[n > 0 ? n : 0] = '\0';
	return options_parse(line);
}

/*
 * A virtual AMD processor has no interrupt for deferred errors: Linux finds
 * them when it polls the banks, by default every five minutes
 */
static void mce_poll_set(void)
{
	FILE *f = options.mce_poll_s ? fopen(POLL_INTERVAL, "we") : NULL;

	if (f) {
		fprintf(f, "%llu\n", (unsigned long long)options.mce_poll_s);
		fclose(f);
	} else if (options.mce_poll_s) {
		say("error mce_poll_s=%s reason=cannot-be-set", POLL_INTERVAL);
	}
}

/* Load the drivers that are modules, in the order of their names */
static void modules_load(void)
{
	glob_t g;

	if (glob("/modules/*.ko", 0, NULL, &g))
		return;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		int fd = open(g.gl_pathv[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			say("error module=%s reason=%s", g.gl_pathv[i],
			    strerrorname_np(errno));
		if (fd >= 0)
			close(fd);
	}
	globfree(&g);
}

static void file_read_word(const char *path, char *word, int size)
{
	FILE *f = fopen(path, "re");

	*word = '\0';
	if (f && fgets(word, size, f))
		word[strcspn(word, "\n")] = '\0';
	if (f)
		fclose(f);
}

static void boot_print(void)
{
	char kernel[128], clock[64];

	file_read_word("/proc/sys/kernel/osrelease", kernel, sizeof(kernel));
	file_read_word("/sys/devices/system/clocksource/clocksource0/current_clocksource",
		  clock, sizeof(clock));
	say("boot linux-guest kernel=%s cpus=%ld mib=%lld seed=%llu clock=%s",
	    kernel, sysconf(_SC_NPROCESSORS_ONLN),
	    (long long)sysconf(_SC_PHYS_PAGES) * PAGE_BYTES / (long long)MIB,
	    (unsigned long long)options.seed, clock);
}

static void workloads_start(void)
{
	if (options_want(WORK_KMSG))
		kmsg_start();
	if (options_want(WORK_VICTIM))
		victim_start();
	if (options_want(WORK_CACHE))
		cache_start();
	if (options_want(WORK_VERIFY))
		verify_start();
	if (options_want(WORK_STRESS))
		tool_start("stress-ng");
	if (options_want(WORK_MEMTESTER))
		tool_start("memtester");
	if (options_want(WORK_CLOCK))
		clock_start();
}

/* Run a shell on the console, and another one when it ends */
static void shell_run(void)
{
	for (;;) {
		pid_t pid = fork();

		if (!pid) {
			setsid();
			execl("/bin/busybox", "sh", NULL);
			_exit(127);
		}
		waitpid(pid, NULL, 0);
	}
}

/* Run the complete lines, keep the rest of the input */
static void commands_run(char *buf, size_t *have)
{
	char *line = buf, *end;

	buf[*have] = '\0';
	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		command_run(line);
		line = end + 1;
	}
	*have -= (size_t)(line - buf);
	memmove(buf, line, *have);
}

static void command_loop(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	const uint64_t every = options.interval_ms * 1000;
	uint64_t next = now_us() + every;
	static char buf[4096];
	size_t have = 0;

	for (;;) {
		uint64_t now = now_us();
		ssize_t n;

		if (every && now >= next) {
			report_print();
			next = now + every;
		}
		if (poll(&p, 1, every ? (int)((next - now) / 1000) + 1
				      : -1) <= 0)
			continue;
		if (have == sizeof(buf) - 1)
			have = 0;	/* too long for a command */
		n = read(STDIN_FILENO, buf + have, sizeof(buf) - 1 - have);
		if (n <= 0) {
			sleep_ms(100);
			continue;
		}
		have += (size_t)n;
		commands_run(buf, &have);
	}
}

int main(void)
{
	char go[] = "go";

	mount_all();
	open_console();
	if (cmdline_read())
		power_off();
	if (!options_want(WORK_SHELL))
		echo_off();
	setenv("PATH", "/bin:/usr/bin:/sbin:/usr/sbin", 1);
	modules_load();
	mce_poll_set();
	bus_init();
	boot_print();
	workloads_start();
	say("ready t_us=%llu", (unsigned long long)now_us());
	if (!options.hold)
		command_run(go);
	if (options_want(WORK_SHELL))
		shell_run();
	command_loop();
	return 0;
}
