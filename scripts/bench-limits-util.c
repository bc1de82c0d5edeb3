// SPDX-License-Identifier: MIT
/*
 * bench-limits: processes, CPUs, sockets, memory, time
 *
 * Nothing that is started outlives the program: a child asks to be killed
 * when its parent goes, and an alarm ends a measurement that got stuck.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench-limits.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23	/* Linux 5.14 */
#endif

/* A run takes a second or two: after so long without a new one, it is stuck */
#define STUCK_SECONDS	120

static cpu_set_t all_cpus;

/**
 * die() - End the program: a measurement cannot be made
 * @fmt:	printf() format of what was wrong, and its arguments
 */
void die(const char *fmt, ...)
{
	va_list ap;

	fputs("bench-limits: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(1);
}

static void on_alarm(int sig)
{
	static const char text[] =
		"bench-limits: no progress for two minutes, giving up\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n;
	_exit(sig == SIGALRM ? 1 : 2);
}

/**
 * progress() - Say that another run begins, so that it is given its time
 *
 * The program ends with a message when none begins for two minutes.
 */
void progress(void)
{
	signal(SIGALRM, on_alarm);
	alarm(STUCK_SECONDS);
}

/**
 * section() - Say to people, on stderr, what is measured next
 * @name:	What it is, and the unit
 */
void section(const char *name)
{
	progress();
	fprintf(stderr, "-- %s\n", name);
}

/**
 * now_ns() - Monotonic clock
 *
 * Return: nanoseconds since some moment in the past
 */
uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* The core that a CPU belongs to; an own number for each if unknown */
static int core_of(int cpu)
{
	char path[96];
	int core = cpu;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/"
		 "thread_siblings_list", cpu);
	f = fopen(path, "re");
	if (!f)
		return core;
	if (fscanf(f, "%d", &core) != 1)
		core = cpu;
	fclose(f);
	return core;
}

/**
 * find_cpus() - Choose two CPUs, on two cores where there are two
 * @b:		ncpus and cpu are filled in
 *
 * Only CPUs that this process may use are chosen; pin(ANY_CPU) afterwards
 * means all of those.
 */
void find_cpus(struct bench *b)
{
	int cpu;

	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus))
		die("sched_getaffinity: %s", strerror(errno));
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all_cpus))
			continue;
		if (!b->ncpus) {
			b->cpu[b->ncpus++] = cpu;
			continue;
		}
		if (b->ncpus == 1)
			b->cpu[b->ncpus++] = cpu;
		if (core_of(cpu) != core_of(b->cpu[0])) {
			b->cpu[1] = cpu;
			return;
		}
	}
}

/**
 * pin() - Bind the calling thread to a CPU
 * @cpu:	CPU number, or ANY_CPU for all that the process started with
 */
void pin(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	if (cpu != ANY_CPU)
		CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), cpu == ANY_CPU ? &all_cpus : &one))
		die("cannot bind a thread to CPU %d: %s", cpu, strerror(errno));
}

/**
 * fork_child() - fork(), with a child that dies with its parent
 *
 * To be called while the process has one thread only.
 *
 * Return: 0 in the child, its process id in the parent
 */
pid_t fork_child(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)	/* it was gone already */
			_exit(1);
	}
	return pid;
}

/**
 * reap_child() - Wait for a child, which must have ended well
 * @pid:	From fork_child()
 */
void reap_child(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid: %s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("a helper process failed (wait status 0x%x)", status);
}

/**
 * cpu_use() - Look at how the machine's CPUs were used since boot
 * @stolen:	Set to the seconds that the host gave to others instead, all
 *		CPUs together
 *
 * Return: seconds that the CPUs were not idle, stolen ones included; 0 when
 * the kernel does not tell
 */
double cpu_use(double *stolen)
{
	/* user nice system idle iowait irq softirq steal: proc(5) */
	unsigned long t[8] = {};
	double hz = sysconf(_SC_CLK_TCK);
	FILE *f = fopen("/proc/stat", "re");
	int n = 0;

	*stolen = 0;
	if (f) {
		n = fscanf(f, "cpu %lu %lu %lu %lu %lu %lu %lu %lu",
			   &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6],
			   &t[7]);
		fclose(f);
	}
	if (n != 8)
		return 0;
	*stolen = t[7] / hz;
	return (t[0] + t[1] + t[2] + t[5] + t[6] + t[7]) / hz;
}

static void tcp_pair(int sv[2])
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(sin);
	int i, one = 1, l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (l < 0 || bind(l, (struct sockaddr *)&sin, sizeof(sin)) ||
	    listen(l, 1) || getsockname(l, (struct sockaddr *)&sin, &len))
		die("cannot listen on 127.0.0.1: %s", strerror(errno));
	sv[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sv[0] < 0 || connect(sv[0], (struct sockaddr *)&sin, sizeof(sin)))
		die("cannot connect to 127.0.0.1: %s", strerror(errno));
	sv[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	if (sv[1] < 0)
		die("accept: %s", strerror(errno));
	close(l);
	for (i = 0; i < 2; i++)
		if (setsockopt(sv[i], IPPROTO_TCP, TCP_NODELAY, &one,
			       sizeof(one)))
			die("TCP_NODELAY: %s", strerror(errno));
}

/**
 * stream_pair() - Two connected blocking stream sockets
 * @tcp:	TCP over 127.0.0.1 with TCP_NODELAY; else a Unix socket
 * @sv:		Filled with the two ends
 */
void stream_pair(bool tcp, int sv[2])
{
	if (tcp)
		tcp_pair(sv);
	else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		die("socketpair: %s", strerror(errno));
}

/**
 * write_all() - Write a whole buffer to a blocking socket
 * @fd:		Socket
 * @buf:	Bytes
 * @len:	How many
 */
void write_all(int fd, const void *buf, size_t len)
{
	while (len) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

		if (n < 0)
			die("send: %s", strerror(errno));
		buf = (const char *)buf + n;
		len -= n;
	}
}

/**
 * map_filled() - Anonymous memory with all its 4 KiB pages there
 * @size:	Bytes, a multiple of PAGE
 *
 * Return: the memory, zeroed, to be given back by munmap()
 */
void *map_filled(size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		die("no memory for %zu bytes: %s", size, strerror(errno));
	/* A huge page would hide the cost per page that is measured here */
	madvise(mem, size, MADV_NOHUGEPAGE);
	if (madvise(mem, size, MADV_POPULATE_WRITE))
		memset(mem, 0, size);
	return mem;
}

/**
 * warm_pages() - See to it that the kernel has free pages at hand
 * @size:	Bytes about to be allocated
 *
 * In a virtual machine whose host takes back what is free, the first touch
 * of such a page costs an exit, five times what is to be measured. Pages just
 * freed are the ones handed out next.
 */
void warm_pages(size_t size)
{
	munmap(map_filled(size), size);
}
