// SPDX-License-Identifier: MIT
/*
 * sandbox.c - Limit the system calls of this process (seccomp)
 *
 * The filter is a list of system calls. Some are allowed with any arguments,
 * others only if an argument has one of a few values: clone(2) makes threads
 * only, ioctl(2) reaches KVM, userfaultfd, the page map and a terminal's modes,
 * a socket is of the Unix or the Internet family, signals go to this process,
 * and no memory becomes executable that was writable. Other processes, programs
 * (execve), mounts, users, modules, BPF, io_uring and the like are out of reach.
 *
 * Files are not limited: a dump, the page map, a name server's configuration
 * and a late nss module are opened while the machine runs.
 *
 * The kernel evaluates the program for each ioctl(2), and so for each KVM_RUN:
 * its block comes first. For calls that are allowed with any arguments the
 * kernel caches the result (Linux 5.11).
 */

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"
#include "units.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* By the Makefile, from <sys/syscall.h>, for messages. Not for a lint */
#ifndef SYSCALL_NAMES
#define SYSCALL_NAMES [0] = "read",
#endif

#define TYPE_MASK	0xff00u		/* of an ioctl's number, <asm/ioctl.h> */
#define TYPE_KVM	0xae00u
#define TYPE_UFFD	0xaa00u
#define PAGEMAP_SCAN	0xc0606610u	/* Linux 6.7 */
#define ANY_BIT		0xffffffffu
#define THREAD_FLAGS	(CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define PROGRAM_MAX	512

#ifndef SYS_mseal	/* Linux 6.10; its number is that of every architecture */
#define SYS_mseal	462
#endif

/* Allowed if (argument & mask) == value in one of a call's rows. Only the low
 * 32 bits count: all of these arguments are int, or flags that fit into 32 bits
 */
struct condition {
	uint16_t call;
	uint8_t arg;
	bool own_pid;		/* value: this process */
	uint32_t mask, value;
};

static const struct condition conditions[] = {
	{ SYS_ioctl, 1, false, TYPE_MASK, TYPE_KVM },
	{ SYS_ioctl, 1, false, TYPE_MASK, TYPE_UFFD },
	{ SYS_ioctl, 1, false, ANY_BIT, PAGEMAP_SCAN },
	{ SYS_ioctl, 1, false, ANY_BIT, TCGETS },
	{ SYS_ioctl, 1, false, ANY_BIT, TCSETS },
	{ SYS_ioctl, 1, false, ANY_BIT, TCSETSW },
	{ SYS_ioctl, 1, false, ANY_BIT, TCSETSF },
	{ SYS_ioctl, 1, false, ANY_BIT, TIOCGWINSZ },
	{ SYS_ioctl, 1, false, ANY_BIT, TIOCGPGRP },
	{ SYS_ioctl, 1, false, ANY_BIT, FIONREAD },
	{ SYS_ioctl, 1, false, ANY_BIT, FIONBIO },
	{ SYS_mmap, 2, false, PROT_EXEC, 0 },
	/* A library that is loaded late: libgcc_s, nss modules */
	{ SYS_mmap, 2, false, PROT_EXEC | PROT_WRITE, PROT_EXEC },
	{ SYS_mprotect, 2, false, PROT_EXEC, 0 },
	{ SYS_clone, 0, false, THREAD_FLAGS, THREAD_FLAGS },
	{ SYS_socket, 0, false, ANY_BIT, AF_UNIX },
	{ SYS_socket, 0, false, ANY_BIT, AF_INET },
	{ SYS_socket, 0, false, ANY_BIT, AF_INET6 },
	{ SYS_socket, 0, false, ANY_BIT, AF_NETLINK },	/* getaddrinfo() */
	{ SYS_socketpair, 0, false, ANY_BIT, AF_UNIX },
	{ SYS_prctl, 0, false, ANY_BIT, PR_SET_NAME },
	{ SYS_prctl, 0, false, ANY_BIT, PR_MCE_KILL },
	{ SYS_prctl, 0, false, ANY_BIT, PR_SET_VMA },
	{ SYS_tgkill, 0, true, ANY_BIT, 0 },
	{ SYS_process_vm_readv, 0, true, ANY_BIT, 0 },
	{ SYS_process_vm_writev, 0, true, ANY_BIT, 0 },
	{ SYS_prlimit64, 0, false, ANY_BIT, 0 },
};

/* Allowed with any arguments */
static const uint16_t allowed[] = {
	/* Files and pipes */
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64,
	SYS_preadv, SYS_pwritev, SYS_lseek, SYS_open, SYS_openat, SYS_close,
	SYS_stat, SYS_fstat, SYS_lstat, SYS_newfstatat, SYS_statx, SYS_statfs,
	SYS_fstatfs, SYS_access, SYS_faccessat, SYS_faccessat2, SYS_readlink,
	SYS_readlinkat, SYS_getcwd, SYS_getdents64, SYS_ftruncate,
	SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_flock, SYS_rename,
	SYS_renameat, SYS_renameat2, SYS_unlink, SYS_unlinkat, SYS_mkdir,
	SYS_fchmod, SYS_fcntl, SYS_dup, SYS_dup2, SYS_dup3, SYS_pipe2,
	SYS_eventfd2, SYS_memfd_create,
	/* Waiting */
	SYS_poll, SYS_ppoll, SYS_select, SYS_pselect6, SYS_epoll_create1,
	SYS_epoll_ctl, SYS_epoll_wait, SYS_epoll_pwait, SYS_futex,
	SYS_nanosleep, SYS_clock_nanosleep, SYS_restart_syscall,
	SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime,
	SYS_timer_create, SYS_timer_settime, SYS_timer_gettime,
	SYS_timer_delete, SYS_timer_getoverrun,
	/* Sockets */
	SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4,
	SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt,
	SYS_shutdown, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg,
	SYS_sendmmsg, SYS_recvmmsg,
	/* Memory */
	SYS_munmap, SYS_mremap, SYS_madvise, SYS_mincore, SYS_msync, SYS_brk,
	SYS_userfaultfd, SYS_mseal, SYS_membarrier,
	/* Threads, signals, the end */
	SYS_exit, SYS_exit_group, SYS_set_robust_list, SYS_rseq,
	SYS_set_tid_address, SYS_rt_sigaction, SYS_rt_sigprocmask,
	SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_rt_sigpending,
	SYS_sigaltstack, SYS_sched_yield, SYS_sched_setscheduler,
	SYS_sched_getscheduler, SYS_sched_setparam, SYS_sched_getparam,
	SYS_sched_setattr, SYS_sched_getattr, SYS_sched_get_priority_min,
	SYS_sched_get_priority_max, SYS_sched_getaffinity, SYS_setpriority,
	SYS_getpriority,
	/* Facts */
	SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid,
	SYS_getgid, SYS_getegid, SYS_getpgrp, SYS_getrlimit, SYS_getrusage,
	SYS_times, SYS_sysinfo, SYS_uname, SYS_getcpu, SYS_getrandom,
	SYS_gettimeofday, SYS_time, SYS_clock_gettime, SYS_clock_getres,
};

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short n;
};

static void program_stmt(struct program *p, unsigned short code, uint32_t k)
{
	p->code[p->n++] = (struct sock_filter)BPF_STMT(code, k);
}

/* Compare the accumulator; skip @skip instructions if it differs */
static void program_unless(struct program *p, uint32_t value, uint8_t skip)
{
	p->code[p->n++] = (struct sock_filter)
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip);
}

static void program_load(struct program *p, size_t offset)
{
	program_stmt(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

static void program_return(struct program *p, uint32_t action)
{
	program_stmt(p, BPF_RET | BPF_K, action);
}

/* All rows of one call. Return: the number of rows */
static size_t program_conditions(struct program *p, const struct condition *c,
				 size_t left)
{
	size_t n, arg = offsetof(struct seccomp_data, args[0]);

	for (n = 1; n < left && c[n].call == c->call; n++)
		;
	program_unless(p, c->call, (uint8_t)(4 * n + 1));
	for (size_t i = 0; i < n; i++) {
		/* Little-endian: the low half of the argument is first */
		program_load(p, arg + c[i].arg * sizeof(uint64_t));
		program_stmt(p, BPF_ALU | BPF_AND | BPF_K, c[i].mask);
		program_unless(p, c[i].own_pid ? (uint32_t)getpid()
					       : c[i].value, 1);
		program_return(p, SECCOMP_RET_ALLOW);
	}
	program_return(p, SECCOMP_RET_TRAP);
	return n;
}

static void program_build(struct program *p)
{
	program_load(p, offsetof(struct seccomp_data, arch));
	program_unless(p, AUDIT_ARCH_X86_64, 1);
	p->code[p->n++] = (struct sock_filter)
		BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0);
	program_return(p, SECCOMP_RET_KILL_PROCESS);
	program_load(p, offsetof(struct seccomp_data, nr));

	for (size_t i = 0; i < ARRAY_SIZE(conditions);)
		i += program_conditions(p, conditions + i,
					ARRAY_SIZE(conditions) - i);
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		program_unless(p, allowed[i], 1);
		program_return(p, SECCOMP_RET_ALLOW);
	}
	/* Its flags are in memory, which a filter can't read: the C library
	 * uses clone(2) instead
	 */
	program_unless(p, SYS_clone3, 1);
	program_return(p, SECCOMP_RET_ERRNO | ENOSYS);
	program_return(p, SECCOMP_RET_TRAP);
}

static const char *call_name(int call)
{
	static const char *const names[] = { SYSCALL_NAMES };

	if (call < 0 || (size_t)call >= ARRAY_SIZE(names) || !names[call])
		return "unknown";
	return names[call];
}

/* The kernel has not carried out the call. The stack protector and FORTIFY also
 * end a process that is damaged: only write(2) is used here
 */
static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	char number[12], *digit = number + sizeof(number);
	const char *part[] = {
		"ferry: the sandbox does not allow the system call ",
		call_name(info->si_syscall), " (", NULL,
		"), the machine ends; --no-sandbox runs it without the sandbox\n",
	};
	unsigned call = (unsigned)info->si_syscall;

	(void)context;
	*--digit = '\0';
	do {
		*--digit = (char)('0' + call % 10);
		call /= 10;
	} while (call);
	part[3] = digit;
	for (size_t i = 0; i < ARRAY_SIZE(part); i++)
		if (write(STDERR_FILENO, part[i], strlen(part[i])) < 0)
			break;
	/* SA_RESETHAND: this ends the process */
	raise(sig);
}

int sandbox_enter(struct error *err)
{
	struct sigaction sa = {
		.sa_sigaction = on_sigsys,
		.sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER,
	};
	struct program p = { 0 };
	struct sock_fprog prog = { .filter = p.code };
	long rc;

	if (SANITIZED)
		return 0;
	program_build(&p);
	prog.len = p.n;
	sigaction(SIGSYS, &sa, NULL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return error_set(err, errno,
				 "cannot set PR_SET_NO_NEW_PRIVS: %m");
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_TSYNC, &prog);
	if (!rc)
		return 0;
	/* A positive result is a thread that could not be synchronized */
	return error_set(err, rc > 0 ? ESRCH : errno,
			 "cannot limit the system calls of this process (seccomp): %s; --no-sandbox runs the machine without that",
			 strerrordesc_np(rc > 0 ? ESRCH : errno));
}
