/* SPDX-License-Identifier: MIT
 *
 * ktest.h - Small programs that prove the kernel behaviour that Ferry relies on
 *
 * Theory of operation
 *
 * A program is a table of cases. Each case runs in a process of its own, once
 * for each kind of mapping that it names, so that a case may poison memory,
 * block or crash: its effects end with its process. CHECK() and SKIP() end the
 * case; the parent prints one line for it:
 *
 *	ok PROGRAM.CASE/KIND: SENTENCE [NOTE]
 *	not ok PROGRAM.CASE/KIND: WHY
 *	skip PROGRAM.CASE/KIND: REASON
 *
 * A case that hangs is ended after CASE_SECONDS, and has failed. Nothing else
 * depends on time: to show that a thread stays blocked, a case looks once after
 * a short rest. That can miss an error, but not report a false one.
 */
#ifndef FERRY_TESTS_KERNEL_KTEST_H
#define FERRY_TESTS_KERNEL_KTEST_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "uapi.h"

#define PAGE		4096UL
#define NPAGES		8UL		/* pages in every case's mapping */
#define CASE_SECONDS	30

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/** struct mapping - The memory of a case: NPAGES pages, never touched
 * @kind:	"anon" or "memfd"
 * @addr:	first byte
 * @len:	size, bytes
 * @fd:		the memfd, or -1
 * @alias:	second mapping of the same memfd, or NULL
 */
struct mapping {
	const char *kind;
	unsigned char *addr;
	size_t len;
	int fd;
	unsigned char *alias;
};

#define ON_NONE		0U		/* once, with no mapping (m is NULL) */
#define ON_ANON		1U
#define ON_MEMFD	2U
#define ON_BOTH		(ON_ANON | ON_MEMFD)

/** struct kcase - One sentence and the function that proves it
 * @name:	short name
 * @says:	the sentence, printed if it is true
 * @run:	returns if the sentence is true; else CHECK() or SKIP()
 * @kinds:	ON_...
 */
struct kcase {
	const char *name;
	const char *says;
	void (*run)(struct mapping *m);
	unsigned kinds;
};

/** struct touch - Result of one access from user mode
 * @signo:	SIGBUS, or 0 if the access completed
 * @code:	si_code
 * @lsb:	si_addr_lsb, meaningful with BUS_MCEERR_AR
 * @addr:	si_addr
 * @value:	the byte that was read
 */
struct touch {
	int signo;
	int code;
	int lsb;
	void *addr;
	unsigned char value;
};

/** struct toucher - A thread that reads one byte, and may block doing so */
struct toucher {
	pthread_t thread;
	void *addr;
	struct touch result;
	atomic_int tid;
	atomic_bool done;
};

int ktest_main(const struct kcase *cases, size_t n);
void ktest_end(int verdict, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
void ktest_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
pid_t ktest_fork(void);
void ktest_reap(pid_t pid);
void ktest_need_hwpoison(void);
void ktest_rest(void);

#define KTEST_OK	0
#define KTEST_NOT_OK	1
#define KTEST_SKIP	2

#define STR_(x)		#x
#define STR(x)		STR_(x)
#define CHECK(cond, ...)						\
	do {								\
		if (!(cond))						\
			ktest_end(KTEST_NOT_OK,				\
				  "line " STR(__LINE__) ": " __VA_ARGS__); \
	} while (0)
#define SKIP(...)	ktest_end(KTEST_SKIP, __VA_ARGS__)
#define NOTE(...)	ktest_note(__VA_ARGS__)

/* A call must return exactly @want: 0 or -errno */
#define EXPECT(want, call)						\
	do {								\
		int got_ = (call);					\
		CHECK(got_ == (want), "%s: %s, expected %s", #call,	\
		      strerror(-got_), strerror(-(want)));		\
	} while (0)

/* A case table ends its program with this */
#define KTEST_MAIN(cases)						\
	int main(void)							\
	{								\
		return ktest_main(cases, ARRAY_SIZE(cases));		\
	}

int uffd_new(int flags);
int uffd_open(int flags, uint64_t features);
int uffd_register(int uffd, void *addr, size_t len, uint64_t mode,
		  uint64_t *ioctls);
int uffd_unregister(int uffd, void *addr, size_t len);
int uffd_wake(int uffd, void *addr, size_t len);
int uffd_poison_mode(int uffd, void *addr, size_t len, uint64_t mode,
		     int64_t *updated);
int uffd_poison(int uffd, void *addr, size_t len);
int uffd_copy(int uffd, void *addr, int fill);
int uffd_continue(int uffd, void *addr);
int uffd_zeropage(int uffd, void *addr);
int uffd_move(int uffd, void *dst, void *src, size_t len);
void uffd_wait_fault(int uffd, struct uffd_msg *msg);
bool uffd_quiet(int uffd);
int uffd_missing(struct mapping *m);

struct touch touch_read(const void *addr);
struct touch touch_write(void *addr, unsigned char value);
bool poisoned(const void *addr);
bool last_sigbus(siginfo_t *si);

void toucher_start(struct toucher *t, void *addr);
bool toucher_blocked(struct toucher *t);
struct touch toucher_join(struct toucher *t);

#endif /* FERRY_TESTS_KERNEL_KTEST_H */
