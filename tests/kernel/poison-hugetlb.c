// SPDX-License-Identifier: MIT
/*
 * poison-hugetlb.c - Poison in huge pages
 *
 * UFFDIO_POISON accepts whole huge pages only. Small pages, one of them
 * poisoned, can be moved to the address of a missing huge page. Of a huge page
 * with a real memory error in one part, the file still has the other parts.
 *
 * The test reserves huge pages if none are free, and releases them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "ktest.h"

#define HUGE	(2UL << 20)
#define KNOB	"/sys/kernel/mm/hugepages/hugepages-2048kB/"

static long knob(const char *name, long value)
{
	char path[128], text[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), KNOB "%s", name);
	fd = open(path, value < 0 ? O_RDONLY : O_WRONLY);
	if (fd < 0)
		return -1;
	if (value < 0) {
		n = read(fd, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = '\0';
		value = n > 0 ? atol(text) : -1;
	} else {
		n = snprintf(text, sizeof(text), "%ld", value);
		if (write(fd, text, (size_t)n) != n)
			value = -1;
	}
	close(fd);
	return value;
}

/* Two huge pages at 2 MiB alignment, registered, or NULL */
static unsigned char *huge_registered(int *uffd)
{
	unsigned char *p = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
				21 << MAP_HUGE_SHIFT, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	*uffd = uffd_open(O_NONBLOCK, UFFD_FEATURE_MISSING_HUGETLBFS);
	EXPECT(0, uffd_register(*uffd, p, 2 * HUGE,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	return p;
}

static void rules(void)
{
	int uffd;
	unsigned char *p = huge_registered(&uffd);

	CHECK(p, "mmap of 2 huge pages: %m");
	EXPECT(-EINVAL, uffd_poison(uffd, p, PAGE));
	EXPECT(-EINVAL, uffd_poison(uffd, p + PAGE, HUGE));
	EXPECT(0, uffd_poison(uffd, p, HUGE));
	CHECK(poisoned(p) && poisoned(p + HUGE - 1), "it can be read");
	EXPECT(-EEXIST, uffd_poison(uffd, p, HUGE));
	EXPECT(0, uffd_unregister(uffd, p, 2 * HUGE));
	CHECK(poisoned(p), "the poison is gone");
	CHECK(!poisoned(p + HUGE), "the other page is poisoned");
}

/* A memfd of one huge page, mapped */
static unsigned char *huge_memfd(int *fd)
{
	unsigned char *p;

	*fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | 21u << 26);
	CHECK(*fd >= 0 && !ftruncate(*fd, HUGE), "memfd of huge pages: %m");
	p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	CHECK(p != MAP_FAILED, "mmap: %m");
	return p;
}

/* A reader waits for the huge page, and continues with a small one */
static void split(void)
{
	int fd, uffd = uffd_open(O_NONBLOCK, UFFD_FEATURE_MISSING_HUGETLBFS);
	unsigned char *huge = huge_memfd(&fd), *small;
	struct toucher good, bad;
	struct uffd_msg msg;

	EXPECT(0, uffd_register(uffd, huge, HUGE,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	toucher_start(&good, huge + 5 * PAGE);
	uffd_wait_fault(uffd, &msg);
	CHECK((unsigned char *)(uintptr_t)msg.arg.pagefault.address == huge,
	      "the fault is not at the start of the huge page");
	toucher_start(&bad, huge + 6 * PAGE);
	uffd_wait_fault(uffd, &msg);

	small = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(small != MAP_FAILED, "mmap: %m");
	/* Else a read maps one huge page, and a marker is refused */
	CHECK(!madvise(small, HUGE, MADV_NOHUGEPAGE) || errno == EINVAL,
	      "MADV_NOHUGEPAGE: %m");
	memset(small + 5 * PAGE, 7, PAGE);
	EXPECT(0, uffd_register(uffd, small, HUGE,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	EXPECT(0, uffd_poison(uffd, small + 6 * PAGE, PAGE));
	EXPECT(0, uffd_unregister(uffd, small, HUGE));
	CHECK(mremap(small, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, huge) ==
	      huge, "mremap: %m");
	CHECK(toucher_blocked(&good) && toucher_blocked(&bad),
	      "a waiter was woken before UFFDIO_WAKE");
	EXPECT(0, uffd_wake(uffd, huge, HUGE));
	CHECK(toucher_join(&good).value == 7, "the wrong byte");
	CHECK(toucher_join(&bad).signo == SIGBUS, "no SIGBUS");
	CHECK(!poisoned(huge) && !poisoned(huge + 7 * PAGE),
	      "more is poisoned");
}

static void file_has_the_rest(void)
{
	unsigned char got[3 * PAGE];
	struct iovec to = { got, PAGE }, from;
	unsigned char *huge;
	int fd;

	ktest_need_hwpoison();
	huge = huge_memfd(&fd);
	for (size_t i = 0; i < HUGE / PAGE; i++)
		memset(huge + i * PAGE, (int)(i % 250) + 1, PAGE);
	if (madvise(huge + 5 * PAGE, PAGE, MADV_HWPOISON)) {
		CHECK(errno == EINVAL || errno == EPERM, "MADV_HWPOISON: %m");
		SKIP("MADV_HWPOISON: %m: needs CAP_SYS_ADMIN and "
		     "CONFIG_MEMORY_FAILURE");
	}
	for (size_t i = 0; i < HUGE / PAGE; i++) {
		ssize_t n;

		from = (struct iovec){ huge + i * PAGE, PAGE };
		n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
		CHECK(n < 0 && (errno == EFAULT || errno == EHWPOISON),
		      "page %zu of it can be read by address: %zd", i, n);
		n = pread(fd, got, PAGE, (off_t)(i * PAGE));
		if (i == 5)
			CHECK(n < 0 && errno == EIO, "the lost page: %zd", n);
		else
			CHECK(n == (ssize_t)PAGE && got[0] == i % 250 + 1,
			      "page %zu by the file: %zd", i, n);
	}
	CHECK(pread(fd, got, sizeof(got), 3 * PAGE) == 2 * PAGE,
	      "a longer read does not end at the lost page");
}

/* @loses: the case takes one of the huge pages out of use for good */
static void with_pool(void (*rules)(void), bool loses)
{
	int lock = open(KNOB "nr_hugepages", O_RDONLY | O_CLOEXEC);
	long had, spare;
	pid_t pid;

	if (lock < 0)
		SKIP("no 2 MiB huge pages in this kernel");
	/* The pool is the whole machine's: one test at a time changes it */
	CHECK(!flock(lock, LOCK_EX), "flock: %m");
	had = knob("nr_hugepages", -1);
	spare = knob("free_hugepages", -1);
	if (spare < 2 && knob("nr_hugepages", had + 2) < 0)
		SKIP("cannot reserve huge pages: %m: run as root");
	/* In a child: the reservation is released however the case ends */
	pid = fork();
	if (!pid) {
		alarm(CASE_SECONDS / 2);
		if (knob("free_hugepages", -1) < 2)
			SKIP("2 huge pages asked for, too few free: memory is "
			     "fragmented");
		rules();
		_exit(KTEST_OK);
	}
	if (pid > 0) {
		siginfo_t si;

		waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
	}
	if (spare < 2)
		knob("nr_hugepages", had);
	CHECK(pid > 0, "fork: %m");
	ktest_reap(pid);
	CHECK(loses || knob("nr_hugepages", -1) == had, "pages not released");
}

static void whole_case(struct mapping *m)
{
	(void)m;
	with_pool(rules, false);
}

static void split_case(struct mapping *m)
{
	(void)m;
	with_pool(split, false);
}

static void file_case(struct mapping *m)
{
	(void)m;
	with_pool(file_has_the_rest, true);
}

static const struct kcase cases[] = {
	{ "whole", "part of a huge page: EINVAL; a whole one is poisoned whole",
	  whole_case, ON_NONE },
	{ "split", "small pages moved over a missing huge one serve its "
	  "waiters; only the poisoned one of them is poison", split_case,
	  ON_NONE },
	{ "file", "of a huge page that lost a part: nothing by address, all "
	  "but that part by the file (Linux 6.6)", file_case, ON_NONE },
};

KTEST_MAIN(cases)
