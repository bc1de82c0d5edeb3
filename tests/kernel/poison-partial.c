// SPDX-License-Identifier: MIT
/*
 * poison-partial.c - A system call on a buffer with a poisoned page inside
 *
 * The rule that a sender can rely on: the call returns EFAULT, or a count that
 * ends before the poison, and the receiver gets that many good bytes. It never
 * gets a byte of the poisoned page or after it. Which of the two it is depends
 * on the kind of file, and is printed: a sender must handle both, and after
 * EFAULT find the bad page by trying single pages.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "ktest.h"

#define BAD	(3 * PAGE)		/* offset of the poisoned page */

static void stage(struct mapping *m)
{
	int uffd = uffd_missing(m);

	for (size_t i = 0; i < m->len; i += PAGE)
		if (i != BAD)
			EXPECT(0, uffd_copy(uffd, m->addr + i,
					    (int)(i / PAGE) + 1));
	EXPECT(0, uffd_poison(uffd, m->addr + BAD, PAGE));
}

static void tell(const char *what, ssize_t n)
{
	siginfo_t si;

	if (n < 0)
		CHECK(errno == EFAULT, "%s: %m", what);
	CHECK(!last_sigbus(&si), "%s raised SIGBUS", what);
	CHECK(n <= (ssize_t)BAD, "%s: %zd bytes, past the poison", what, n);
	if (n < 0)
		NOTE("EFAULT");
	else
		NOTE("%zd of %lu good bytes, then EFAULT", n, BAD);
}

/* fd must have received n good bytes and nothing else */
static void check_arrived(int fd, ssize_t n)
{
	unsigned char got[NPAGES * PAGE];
	ssize_t len = read(fd, got, sizeof(got));

	if (len < 0 && errno == EAGAIN)
		len = 0;
	CHECK(len == (n < 0 ? 0 : n), "%zd bytes arrived, %zd were reported",
	      len, n);
	for (ssize_t i = 0; i < len; i++)
		CHECK(got[i] == i / (ssize_t)PAGE + 1, "byte %zd is 0x%x", i,
		      got[i]);
}

static ssize_t writev_pages(struct mapping *m, int fd)
{
	struct iovec v[NPAGES];

	for (size_t i = 0; i < NPAGES; i++)
		v[i] = (struct iovec){ m->addr + i * PAGE, PAGE };
	return writev(fd, v, NPAGES);
}

static void to_file(struct mapping *m)
{
	int fd = memfd_create("out", MFD_CLOEXEC);
	ssize_t n;

	CHECK(fd >= 0, "memfd_create: %m");
	stage(m);
	n = writev_pages(m, fd);
	tell("writev", n);
	CHECK(lseek(fd, 0, SEEK_SET) == 0, "lseek: %m");
	check_arrived(fd, n);
}

static void to_pipe(struct mapping *m)
{
	ssize_t n;
	int p[2];

	CHECK(!pipe2(p, O_NONBLOCK), "pipe: %m");
	stage(m);
	n = writev_pages(m, p[1]);
	tell("writev", n);
	check_arrived(p[0], n);
}

static void to_unix(struct mapping *m)
{
	ssize_t n;
	int s[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s),
	      "socketpair: %m");
	stage(m);
	n = writev_pages(m, s[0]);
	tell("writev", n);
	check_arrived(s[1], n);
}

static void tcp_pair(int s[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int l = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(a);

	CHECK(l >= 0 && !bind(l, (void *)&a, len) && !listen(l, 1) &&
	      !getsockname(l, (void *)&a, &len), "TCP: %m");
	s[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (s[0] < 0 || connect(s[0], (void *)&a, len))
		SKIP("no TCP over loopback: %m: bring up lo");
	s[1] = accept(l, NULL, NULL);
	CHECK(s[1] >= 0, "accept: %m");
}

static void to_tcp(struct mapping *m)
{
	unsigned char got;
	ssize_t n, total = 0;
	int s[2];

	tcp_pair(s);
	stage(m);
	n = writev_pages(m, s[0]);
	tell("writev", n);
	CHECK(!shutdown(s[0], SHUT_WR), "shutdown: %m");
	while (read(s[1], &got, 1) == 1) {
		CHECK(got == total / (ssize_t)PAGE + 1, "byte %zd is 0x%x",
		      total, got);
		total++;
	}
	CHECK(total == (n < 0 ? 0 : n), "%zd bytes arrived, %zd were reported",
	      total, n);
}

static const struct kcase cases[] = {
	{ "file", "writev to a file: no byte from the poison on", to_file,
	  ON_BOTH },
	{ "pipe", "writev to a pipe: no byte from the poison on", to_pipe,
	  ON_BOTH },
	{ "unix", "writev to a Unix stream: no byte from the poison on",
	  to_unix, ON_BOTH },
	{ "tcp", "writev to TCP: no byte from the poison on", to_tcp,
	  ON_BOTH },
};

KTEST_MAIN(cases)
