// SPDX-License-Identifier: MIT
/*
 * poison-log.c - What the kernel logs of an access to poison
 *
 * Not in the man page. A kernel with CONFIG_MEMORY_FAILURE logs each SIGBUS
 * that a user-mode access to poison raises as "MCE: Killing PROGRAM:PID due to
 * hardware memory corruption", though no hardware failed and the program may
 * well live on. It logs nothing when a system call or a vCPU meets poison, and it
 * does not count the page as lost ("Memory failure:").
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>

#include "kguest.h"

/* The kernel log from now on */
static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		SKIP("/dev/kmsg: %m: run as root");
	CHECK(lseek(fd, 0, SEEK_END) >= 0, "lseek: %m");
	return fd;
}

/* Count the records that name this process; the last one's text is kept */
static int log_read(int fd, char *text, size_t size)
{
	char record[8192], me[64];
	ssize_t n;
	int found = 0;

	snprintf(me, sizeof(me), "%s:%d", program_invocation_short_name,
		 getpid());
	while ((n = read(fd, record, sizeof(record) - 1)) > 0 ||
	       (n < 0 && errno == EPIPE)) {
		char *body;

		if (n < 0)		/* records were overwritten: go on */
			continue;
		record[n] = '\0';
		body = strchr(record, ';');
		if (!body || !strstr(body, me))
			continue;
		found++;
		snprintf(text, size, "%s", body + 1);
		text[strcspn(text, "\n")] = '\0';
	}
	CHECK(errno == EAGAIN, "read of /dev/kmsg: %m");
	return found;
}

static void user_access(struct mapping *m)
{
	int uffd = uffd_missing(m), log = log_open(), n;
	char text[160] = "";
	struct touch t;

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	t = touch_read(m->addr);
	CHECK(t.signo == SIGBUS, "no SIGBUS");
	n = log_read(log, text, sizeof(text));
	CHECK(n <= 1, "%d records for one access", n);
	CHECK(!strstr(text, "Memory failure"), "%s", text);
	CHECK(t.code == BUS_MCEERR_AR || !n, "without CONFIG_MEMORY_FAILURE: "
	      "%s", text);
	NOTE("%s", n ? text : "nothing is logged");
}

static void system_call(struct mapping *m)
{
	int uffd = uffd_missing(m), log = log_open(), p[2];
	unsigned char byte;
	struct iovec to = { &byte, 1 }, from = { m->addr, 1 };
	char text[160];

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	CHECK(!pipe(p), "pipe: %m");
	CHECK(write(p[1], m->addr, 1) == -1 && errno == EFAULT, "write: %m");
	CHECK(process_vm_readv(getpid(), &to, 1, &from, 1, 0) == -1 &&
	      errno == EFAULT, "process_vm_readv: %m");
	CHECK(!log_read(log, text, sizeof(text)), "logged: %s", text);
}

static void vcpu(struct mapping *m)
{
	int uffd = uffd_missing(m), log = log_open();
	struct guest_exit e;
	struct guest g;
	char text[160];

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	guest_create(&g, m, 0);
	e = guest_access(&g, OP_READ, GUEST_RAM);
	CHECK(e.err == -EINTR && e.sigbus, "KVM_RUN: %s", strerror(-e.err));
	CHECK(!log_read(log, text, sizeof(text)), "logged: %s", text);
}

static const struct kcase cases[] = {
	{ "user", "a user-mode access: at most one line, and no page is lost",
	  user_access, ON_BOTH },
	{ "syscall", "a system call that gets EFAULT: nothing", system_call,
	  ON_BOTH },
	{ "vcpu", "a vCPU's access, which raises SIGBUS in its thread: nothing",
	  vcpu, ON_BOTH },
};

KTEST_MAIN(cases)
