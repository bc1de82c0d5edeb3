// SPDX-License-Identifier: MIT
/*
 * ktest.c - Runner, verdicts and SIGBUS handling of the tests/kernel programs
 *
 * The verdict of a case is in a page shared with the parent, so that a case can
 * end with _exit() in any thread, and after any fork.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "ktest.h"

/** struct verdict - Outcome of the running case, shared with the parent
 * @given:	ktest_end() was called
 * @code:	KTEST_...
 * @why:	text of CHECK() or SKIP()
 * @note:	text of NOTE()
 */
struct verdict {
	bool given;
	int code;
	char why[512];
	char note[256];
};

static struct verdict *verdict;

/** struct bus - SIGBUS state of one thread
 * @armed:	an access is under way: the handler jumps out of it
 * @seen:	@info is valid
 */
static _Thread_local struct bus {
	volatile sig_atomic_t armed;
	volatile sig_atomic_t seen;
	siginfo_t info;
	sigjmp_buf env;
} bus;

/**
 * ktest_end() - End the case
 * @code:	KTEST_NOT_OK or KTEST_SKIP
 * @fmt:	the reason
 */
void ktest_end(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(verdict->why, sizeof(verdict->why), fmt, ap);
	va_end(ap);
	verdict->code = code;
	verdict->given = true;
	_exit(code);
}

/**
 * ktest_note() - Add an observation to the line of a case that passes
 * @fmt:	the observation; the last one wins
 */
void ktest_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(verdict->note, sizeof(verdict->note), fmt, ap);
	va_end(ap);
}

/**
 * ktest_fork() - fork() whose child never outlives its parent
 *
 * Return: as fork(); failure ends the case
 */
pid_t ktest_fork(void)
{
	pid_t parent = getpid(), pid = fork();

	CHECK(pid >= 0, "fork: %m");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(KTEST_NOT_OK);
	}
	return pid;
}

/**
 * ktest_reap() - Wait for a child of ktest_fork(); it must end with success
 * @pid:	the child
 */
void ktest_reap(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid, "waitpid: %m");
	if (verdict->given)
		_exit(verdict->code);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status),
	      "the child ended with wait status 0x%x", status);
}

/**
 * ktest_need_hwpoison() - Skip the case unless it may use MADV_HWPOISON
 *
 * MADV_HWPOISON takes a page of the host out of use until it reboots. The lab
 * (scripts/lab), which is thrown away, sets FERRY_TEST_HWPOISON=1; elsewhere a
 * person who runs the program has to.
 */
void ktest_need_hwpoison(void)
{
	const char *allowed = getenv("FERRY_TEST_HWPOISON");

	if (!allowed || strcmp(allowed, "1"))
		SKIP("takes memory of this host out of use for good: "
		     "FERRY_TEST_HWPOISON=1 allows that");
}

/** ktest_rest() - Give another thread time to do what it must not do */
void ktest_rest(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100 * 1000 * 1000 }, NULL);
}

static void on_sigbus(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)uc;
	bus.info = *si;
	bus.seen = 1;
	if (bus.armed) {
		bus.armed = 0;
		siglongjmp(bus.env, 1);
	}
	/* KVM sends a BUS_MCEERR_* signal while KVM_RUN returns EINTR: return
	 * to it. Any other fault would repeat without end: end the process.
	 */
	if (si->si_code != BUS_MCEERR_AR && si->si_code != BUS_MCEERR_AO)
		signal(SIGBUS, SIG_DFL);
}

static struct touch touch(volatile unsigned char *addr, int value)
{
	struct touch t = { 0 };

	bus.seen = 0;
	bus.armed = 1;
	if (sigsetjmp(bus.env, 1)) {
		t.signo = bus.info.si_signo;
		t.code = bus.info.si_code;
		t.lsb = bus.info.si_addr_lsb;
		t.addr = bus.info.si_addr;
		return t;
	}
	if (value >= 0)
		*addr = (unsigned char)value;
	else
		t.value = *addr;
	bus.armed = 0;
	return t;
}

/**
 * touch_read() - Read one byte from user mode
 * @addr:	address
 *
 * Return: the byte, or the SIGBUS that was raised instead
 */
struct touch touch_read(const void *addr)
{
	return touch((volatile unsigned char *)addr, -1);
}

/**
 * touch_write() - Write one byte from user mode
 * @addr:	address
 * @value:	the byte
 *
 * Return: the SIGBUS that was raised, if any
 */
struct touch touch_write(void *addr, unsigned char value)
{
	return touch(addr, value);
}

/**
 * poisoned() - Does a read of this byte raise SIGBUS?
 * @addr:	address
 */
bool poisoned(const void *addr)
{
	return touch_read(addr).signo == SIGBUS;
}

/**
 * last_sigbus() - Take this thread's last SIGBUS, if there was one
 * @si:		filled in
 *
 * Return: true, once for each signal
 */
bool last_sigbus(siginfo_t *si)
{
	bool seen = bus.seen;

	*si = bus.info;
	bus.seen = 0;
	return seen;
}

static void *toucher_main(void *arg)
{
	struct toucher *t = arg;

	t->tid = (int)syscall(SYS_gettid);
	t->result = touch_read(t->addr);
	t->done = true;
	return NULL;
}

/**
 * toucher_start() - Start a thread that reads one byte
 * @t:		the thread
 * @addr:	address that it reads
 */
void toucher_start(struct toucher *t, void *addr)
{
	t->addr = addr;
	t->tid = 0;
	t->done = false;
	CHECK(!pthread_create(&t->thread, NULL, toucher_main, t),
	      "cannot create a thread");
}

/**
 * toucher_blocked() - Is the thread still in its access after a rest?
 * @t:		the thread
 */
bool toucher_blocked(struct toucher *t)
{
	ktest_rest();
	return !t->done;
}

/**
 * toucher_join() - Wait until the thread's access has ended
 * @t:		the thread
 *
 * Return: result of the access
 */
struct touch toucher_join(struct toucher *t)
{
	CHECK(!pthread_join(t->thread, NULL), "pthread_join failed");
	return t->result;
}

static void mapping_create(struct mapping *m, bool memfd)
{
	int flags = memfd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;

	*m = (struct mapping){ .kind = memfd ? "memfd" : "anon",
			       .len = NPAGES * PAGE, .fd = -1 };
	if (memfd) {
		m->fd = memfd_create("ferry-kernel-test", MFD_CLOEXEC);
		CHECK(m->fd >= 0, "memfd_create: %m");
		CHECK(!ftruncate(m->fd, (off_t)m->len), "ftruncate: %m");
		m->alias = mmap(NULL, m->len, PROT_READ | PROT_WRITE,
				MAP_SHARED, m->fd, 0);
		CHECK(m->alias != MAP_FAILED, "mmap: %m");
	}
	m->addr = mmap(NULL, m->len, PROT_READ | PROT_WRITE, flags, m->fd, 0);
	CHECK(m->addr != MAP_FAILED, "mmap: %m");
	/* A transparent huge page would fill missing pages around a fault */
	madvise(m->addr, m->len, MADV_NOHUGEPAGE);
}

static void case_child(const struct kcase *c, unsigned kind)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus,
				.sa_flags = SA_SIGINFO };
	struct mapping m;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGBUS, &sa, NULL);
	alarm(CASE_SECONDS);
	if (kind)
		mapping_create(&m, kind == ON_MEMFD);
	c->run(kind ? &m : NULL);
	_exit(KTEST_OK);
}

static int case_report(const char *id, const struct kcase *c, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : KTEST_NOT_OK;

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		printf("not ok %s: still running after %d s\n", id,
		       CASE_SECONDS);
	else if (WIFSIGNALED(status))
		printf("not ok %s: ended by signal %d (%s)\n", id,
		       WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (verdict->given)
		printf("%s %s: %s\n", code == KTEST_SKIP ? "skip" : "not ok",
		       id, verdict->why);
	else if (code)
		printf("not ok %s: exit code %d with no reason\n", id, code);
	else
		printf("ok %s: %s%s%s%s\n", id, c->says,
		       verdict->note[0] ? " [" : "", verdict->note,
		       verdict->note[0] ? "]" : "");
	fflush(stdout);
	return code == KTEST_NOT_OK || WIFSIGNALED(status) ||
	       (code && !verdict->given);
}

static int case_run(const struct kcase *c, unsigned kind)
{
	static const char *const suffix[] = { "", "/anon", "/memfd" };
	char id[128];
	int status;
	pid_t pid;

	snprintf(id, sizeof(id), "%s.%s%s", program_invocation_short_name,
		 c->name, suffix[kind]);
	memset(verdict, 0, sizeof(*verdict));
	pid = fork();
	if (pid < 0) {
		printf("not ok %s: fork: %m\n", id);
		return 1;
	}
	if (!pid)
		case_child(c, kind);
	if (waitpid(pid, &status, 0) != pid) {
		printf("not ok %s: waitpid: %m\n", id);
		return 1;
	}
	return case_report(id, c, status);
}

/**
 * ktest_main() - Run a table of cases
 * @cases:	the table
 * @n:		its length
 *
 * Return: exit status: 0 if no case failed
 */
int ktest_main(const struct kcase *cases, size_t n)
{
	int failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	verdict = mmap(NULL, sizeof(*verdict), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (verdict == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (size_t i = 0; i < n; i++) {
		if (!cases[i].kinds)
			failed += case_run(&cases[i], ON_NONE);
		if (cases[i].kinds & ON_ANON)
			failed += case_run(&cases[i], ON_ANON);
		if (cases[i].kinds & ON_MEMFD)
			failed += case_run(&cases[i], ON_MEMFD);
	}
	return failed ? 1 : 0;
}
