// SPDX-License-Identifier: MIT
/*
 * poison-syscalls.c - A system call that accesses poison: EFAULT, no signal
 *
 * So a sender may pass guest pages directly to the kernel, and an error reports
 * poison. For a call whose buffer begins with good pages see poison-partial.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "ktest.h"

static int poison_first(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	return uffd;
}

static void check_fault(const char *call, ssize_t n)
{
	int err = errno;
	siginfo_t si;

	CHECK(n == -1, "%s transferred %zd bytes", call, n);
	CHECK(err == EFAULT, "%s: %s", call, strerror(err));
	CHECK(!last_sigbus(&si), "%s raised SIGBUS", call);
}

static void do_write(struct mapping *m)
{
	int file = memfd_create("out", MFD_CLOEXEC), p[2];

	CHECK(file >= 0 && !pipe(p), "memfd_create, pipe: %m");
	poison_first(m);
	check_fault("write to a file", write(file, m->addr, PAGE));
	check_fault("write to a pipe", write(p[1], m->addr, PAGE));
}

static void do_read(struct mapping *m)
{
	unsigned char page[PAGE] = { 1 };
	int p[2];

	CHECK(!pipe(p), "pipe: %m");
	CHECK(write(p[1], page, PAGE) == PAGE, "write: %m");
	poison_first(m);
	check_fault("read from a pipe", read(p[0], m->addr, PAGE));
	CHECK(poisoned(m->addr), "the read cured the page");
}

static void do_send(struct mapping *m)
{
	int s[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s), "socketpair: %m");
	poison_first(m);
	check_fault("send", send(s[0], m->addr, PAGE, 0));
	check_fault("send of one byte", send(s[0], m->addr + 7, 1, 0));
	CHECK(write(s[1], "x", 1) == 1, "write: %m");
	check_fault("recv", recv(s[0], m->addr, PAGE, 0));
}

static void do_vm_readv(struct mapping *m)
{
	unsigned char page[PAGE];
	struct iovec to = { page, PAGE }, from = { m->addr, PAGE };

	poison_first(m);
	check_fault("process_vm_readv",
		    process_vm_readv(getpid(), &to, 1, &from, 1, 0));
	check_fault("process_vm_writev",
		    process_vm_writev(getpid(), &to, 1, &from, 1, 0));
}

static void populate(struct mapping *m)
{
	siginfo_t si;

	poison_first(m);
	CHECK(madvise(m->addr, PAGE, MADV_POPULATE_READ) == -1,
	      "MADV_POPULATE_READ succeeded");
	if (errno == EINVAL)
		SKIP("no MADV_POPULATE_READ: needs Linux 5.14");
	CHECK(errno == EHWPOISON, "MADV_POPULATE_READ: %m");
	CHECK(!last_sigbus(&si), "MADV_POPULATE_READ raised SIGBUS");
}

static const struct kcase cases[] = {
	{ "write", "write: EFAULT, no signal", do_write, ON_BOTH },
	{ "read", "read: EFAULT, no signal", do_read, ON_BOTH },
	{ "send", "send, recv: EFAULT, no signal", do_send, ON_BOTH },
	{ "vmreadv", "process_vm_readv, process_vm_writev: EFAULT, no signal",
	  do_vm_readv, ON_BOTH },
	{ "populate", "MADV_POPULATE_READ: EHWPOISON, no signal", populate,
	  ON_BOTH },
};

KTEST_MAIN(cases)
