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
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "linux.h"

#define POLL_INTERVAL \
	"/sys/devices/system/machinecheck/machinecheck0/check_interval"

void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

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

/* The kernel found no /dev/console when it started this: it is there now */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	for (int i = 0; i < 3; i++)
		if (fd >= 0 && fd != i)
			dup2(fd, i);
	if (fd > 2)
		close(fd);
}

/* What is typed is for a program, and is not to stand among its answers */
static void no_echo(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &t))
		return;
	t.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

static int read_args(void)
{
	char line[4096];
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	if (fd >= 0)
		close(fd);
	line[n > 0 ? n : 0] = '\0';
	return args_parse(line);
}

/*
 * A virtual AMD processor has no interrupt that tells of a deferred error:
 * Linux finds it when it looks at the banks, every five minutes by itself
 */
static void set_mce_poll(void)
{
	FILE *f = options.mce_poll_s ? fopen(POLL_INTERVAL, "we") : NULL;

	if (f) {
		fprintf(f, "%llu\n", (unsigned long long)options.mce_poll_s);
		fclose(f);
	} else if (options.mce_poll_s) {
		say("error mce_poll_s=%s reason=cannot-be-set", POLL_INTERVAL);
	}
}

/* Drivers that are modules, in the order of their names */
static void load_modules(void)
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

static void read_word(const char *path, char *word, int size)
{
	FILE *f = fopen(path, "re");

	*word = '\0';
	if (f && fgets(word, size, f))
		word[strcspn(word, "\n")] = '\0';
	if (f)
		fclose(f);
}

static void say_boot(void)
{
	char kernel[128], clock[64];

	read_word("/proc/sys/kernel/osrelease", kernel, sizeof(kernel));
	read_word("/sys/devices/system/clocksource/clocksource0/current_clocksource",
		  clock, sizeof(clock));
	say("boot linux-guest kernel=%s cpus=%ld mib=%lld seed=%llu clock=%s",
	    kernel, sysconf(_SC_NPROCESSORS_ONLN),
	    (long long)sysconf(_SC_PHYS_PAGES) * PAGE_BYTES / (long long)MIB,
	    (unsigned long long)options.seed, clock);
}

static void start_all(void)
{
	if (wants(WORK_KMSG))
		kmsg_start();
	if (wants(WORK_VICTIM))
		victim_start();
	if (wants(WORK_CACHE))
		cache_start();
	if (wants(WORK_VERIFY))
		verify_start();
	if (wants(WORK_STRESS))
		tool_start("stress-ng");
	if (wants(WORK_MEMTESTER))
		tool_start("memtester");
	if (wants(WORK_CLOCK))
		clock_start();
}

/* A shell on the console, and another one when it ends */
static void shell(void)
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

/* Obey whole lines, keep the rest of what was read */
static void obey(char *buf, size_t *have)
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
	uint64_t next = now_us() + options.interval_ms * 1000;
	static char buf[4096];
	size_t have = 0;

	for (;;) {
		uint64_t now = now_us();
		ssize_t n;

		if (now >= next) {
			report();
			next = now + options.interval_ms * 1000;
		}
		if (poll(&p, 1, (int)((next - now) / 1000) + 1) <= 0)
			continue;
		if (have == sizeof(buf) - 1)
			have = 0;	/* no command is that long */
		n = read(STDIN_FILENO, buf + have, sizeof(buf) - 1 - have);
		if (n <= 0) {
			sleep_ms(100);
			continue;
		}
		have += (size_t)n;
		obey(buf, &have);
	}
}

int main(void)
{
	char go[] = "go";

	mount_all();
	open_console();
	if (read_args())
		power_off();
	if (!wants(WORK_SHELL))
		no_echo();
	setenv("PATH", "/bin:/usr/bin:/sbin:/usr/sbin", 1);
	load_modules();
	set_mce_poll();
	bus_init();
	say_boot();
	start_all();
	say("ready t_us=%llu", (unsigned long long)now_us());
	if (!options.hold)
		command_run(go);
	if (wants(WORK_SHELL))
		shell();
	command_loop();
	return 0;
}
