// SPDX-License-Identifier: MIT
/*
 * poison-hugetlb.c - UFFDIO_POISON on huge pages: whole ones only
 *
 * Huge pages are reserved for the test if none are free, and given back.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
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

static void whole_only(struct mapping *m)
{
	int lock = open(KNOB "nr_hugepages", O_RDONLY | O_CLOEXEC);
	long had, spare;
	pid_t pid;

	(void)m;
	if (lock < 0)
		SKIP("no 2 MiB huge pages in this kernel");
	/* The number is the whole machine's: one test at a time changes it */
	CHECK(!flock(lock, LOCK_EX), "flock: %m");
	had = knob("nr_hugepages", -1);
	spare = knob("free_hugepages", -1);
	if (spare < 2 && knob("nr_hugepages", had + 2) < 0)
		SKIP("cannot reserve huge pages: %m: run as root");
	/* In a child: the reservation must be given back whatever happens */
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
	CHECK(knob("nr_hugepages", -1) == had, "huge pages not given back");
}

static const struct kcase cases[] = {
	{ "whole", "part of a huge page: EINVAL; a whole one is poisoned whole",
	  whole_only, ON_NONE },
};

KTEST_MAIN(cases)
