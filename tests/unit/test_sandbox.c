// SPDX-License-Identifier: MIT
/*
 * test_sandbox.c - System calls that the sandbox allows, and those that end the
 * process
 *
 * A child process enters the sandbox and makes one call.
 */

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/skip.h"
#include "vmm/base/sandbox.h"
#include "vmm/base/thread.h"
#include "vmm/base/units.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static char page[4096] __attribute__((aligned(4096)));
static _Atomic int go;

/* A call, by number and arguments. @name: what the message calls it */
struct call {
	const char *name;
	long nr, arg[6];
};

static const struct call forbidden[] = {
	{ "execve", SYS_execve, { 0 } },
	{ "execveat", SYS_execveat, { 0 } },
	{ "fork", SYS_fork, { 0 } },
	{ "vfork", SYS_vfork, { 0 } },
	{ "clone", SYS_clone, { SIGCHLD } },
	{ "clone", SYS_clone, { CLONE_VM | CLONE_FILES } },
	{ "unshare", SYS_unshare, { CLONE_NEWUSER } },
	{ "ptrace", SYS_ptrace, { 0 } },
	{ "process_vm_readv", SYS_process_vm_readv, { 1 } },
	{ "process_vm_writev", SYS_process_vm_writev, { 1 } },
	{ "kill", SYS_kill, { 1, 0 } },
	{ "tgkill", SYS_tgkill, { 1, 1, 0 } },
	{ "prlimit64", SYS_prlimit64, { 1 } },
	{ "socket", SYS_socket, { AF_PACKET, SOCK_RAW, 0 } },
	{ "socket", SYS_socket, { AF_ALG, SOCK_SEQPACKET, 0 } },
	{ "socket", SYS_socket, { AF_VSOCK, SOCK_STREAM, 0 } },
	{ "mprotect", SYS_mprotect, { (long)page, 4096,
				      PROT_READ | PROT_EXEC } },
	{ "mmap", SYS_mmap, { 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
	{ "ioctl", SYS_ioctl, { 0, TIOCSTI, (long)page } },
	{ "ioctl", SYS_ioctl, { 0, SIOCGIFCONF, (long)page } },
	{ "prctl", SYS_prctl, { PR_SET_SECCOMP } },
	{ "seccomp", SYS_seccomp, { 0 } },
	{ "bpf", SYS_bpf, { 0 } },
	{ "io_uring_setup", SYS_io_uring_setup, { 0 } },
	{ "perf_event_open", SYS_perf_event_open, { 0 } },
	{ "mount", SYS_mount, { 0 } },
	{ "chroot", SYS_chroot, { 0 } },
	{ "setuid", SYS_setuid, { 0 } },
	{ "init_module", SYS_init_module, { 0 } },
	{ "add_key", SYS_add_key, { 0 } },
	{ "pidfd_open", SYS_pidfd_open, { 1 } },
	{ "chmod", SYS_chmod, { 0 } },
	{ "unknown", 9999, { 0 } },
	{ "unknown", SYS_execve | 0x40000000, { 0 } },	/* the x32 ABI's */
};

static void *call_after_go(void *arg)
{
	const struct call *c = arg;

	while (!go)
		usleep(1000);
	syscall(c->nr, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4],
		c->arg[5]);
	return NULL;
}

enum thread_age { SAME, OLDER, YOUNGER };

/* In the child: never returns */
static void call_in_sandbox(const struct call *c, enum thread_age age, int out)
{
	const struct rlimit no_core = { 0 };
	pthread_t id;

	dup2(out, STDERR_FILENO);
	setrlimit(RLIMIT_CORE, &no_core);
	if (age == OLDER && thread_start(&id, "older", call_after_go,
					 (void *)c))
		_exit(1);
	if (sandbox_enter(NULL))
		_exit(2);
	go = 1;
	if (age == SAME)
		call_after_go((void *)c);
	if (age == YOUNGER && thread_start(&id, "younger", call_after_go,
					   (void *)c))
		_exit(3);
	if (age != SAME)
		pthread_join(id, NULL);
	_exit(4);
}

static void assert_ends(const struct call *c, enum thread_age age)
{
	char text[256] = { 0 }, wanted[64];
	int pipes[2], status;
	ssize_t n;
	size_t have = 0;

	assert_int_equal(pipe(pipes), 0);
	if (!fork())
		call_in_sandbox(c, age, pipes[1]);
	close(pipes[1]);
	while (have < sizeof(text) - 1 &&
	       (n = read(pipes[0], text + have, sizeof(text) - 1 - have)) > 0)
		have += (size_t)n;
	close(pipes[0]);
	assert_true(wait(&status) > 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
		fail_msg("%s: status 0x%x, '%s'", c->name, status, text);
	snprintf(wanted, sizeof(wanted), "system call %s (%ld)", c->name,
		 c->nr);
	if (!strstr(text, wanted) || !strstr(text, "--no-sandbox"))
		fail_msg("no '%s' in '%s'", wanted, text);
}

static void other_calls_end_the_process(void **state)
{
	(void)state;
	if (SANITIZED)
		skip_because("a sanitizer's build has no sandbox");
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
		assert_ends(&forbidden[i], SAME);
}

static void in_each_thread(void **state)
{
	(void)state;
	if (SANITIZED)
		skip_because("a sanitizer's build has no sandbox");
	assert_ends(&forbidden[0], OLDER);
	assert_ends(&forbidden[0], YOUNGER);
}

/* A child calls the kernel as 32-bit code does. Return: its wait status */
static int call_as_32_bit(bool in_sandbox)
{
	int status, nr = 20;	/* getpid() there, writev() here */

	if (!fork()) {
		const struct rlimit no_core = { 0 };

		setrlimit(RLIMIT_CORE, &no_core);
		/* Not cmocka's handler, which would go on with the other tests */
		signal(SIGSEGV, SIG_DFL);
		if (in_sandbox && sandbox_enter(NULL))
			_exit(1);
		__asm__ volatile("int $0x80" : "+a"(nr) : : "memory");
		_exit(2);
	}
	assert_true(wait(&status) > 0);
	return status;
}

static void calls_of_32_bit_code_end_the_process(void **state)
{
	int status;

	(void)state;
	if (SANITIZED)
		skip_because("a sanitizer's build has no sandbox");
	status = call_as_32_bit(false);
	if (WIFSIGNALED(status))
		skip_because("this kernel has no system calls for 32-bit code");
	assert_int_equal(WEXITSTATUS(status), 2);
	status = call_as_32_bit(true);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void *nothing(void *arg)
{
	return arg;
}

static void *sleeper(void *arg)
{
	while (!usleep(100 * 1000))
		;
	return arg;
}

/* What the C library does by itself. Return: the number of the first failure */
static int common_work(void)
{
	struct addrinfo *found = NULL;
	struct iovec here = { page, 1 }, there = { page + 1, 1 };
	char name[] = "/tmp/ferry-test.XXXXXX";
	timer_t timer;
	pthread_t id;
	int fd;

	if (thread_start(&id, "worker", nothing, NULL) ||
	    pthread_join(id, NULL))
		return 1;
	/* Reads /etc/hosts; a name server need not be there */
	if (getaddrinfo("localhost", "1", NULL, &found))
		return 2;
	freeaddrinfo(found);
	setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
	getaddrinfo("no-such-host.invalid", "1", NULL, &found);
	if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) != 1)
		return 3;
	if (timer_create(CLOCK_MONOTONIC, NULL, &timer) || timer_delete(timer))
		return 4;
	fd = mkstemp(name);
	if (fd < 0 || ftruncate(fd, 4096) || fsync(fd) || close(fd) ||
	    unlink(name))
		return 5;
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0 && errno != EPERM && errno != ENOSYS)
		return 6;
	/* glibc loads libgcc_s for this */
	if (thread_start(&id, "sleeper", sleeper, NULL) ||
	    pthread_cancel(id) || pthread_join(id, NULL))
		return 7;
	return 0;
}

static void what_a_machine_needs_is_allowed(void **state)
{
	int status;

	(void)state;
	if (!fork()) {
		if (sandbox_enter(NULL))
			_exit(100);
		_exit(common_work());
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_calls_end_the_process),
		cmocka_unit_test(in_each_thread),
		cmocka_unit_test(calls_of_32_bit_code_end_the_process),
		cmocka_unit_test(what_a_machine_needs_is_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
