// SPDX-License-Identifier: MIT
/*
 * user-mode-only.c - UFFD_USER_MODE_ONLY cannot back guest RAM
 *
 * It needs no privilege, but accesses by the kernel, such as KVM's, raise no
 * event: they fail. So Ferry needs /dev/userfaultfd, a capability, or
 * vm.unprivileged_userfaultfd=1, and its error message says that.
 */
#include <fcntl.h>
#include <sys/uio.h>

#include "kguest.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static int stage(struct mapping *m)
{
	int uffd = uffd_open(O_NONBLOCK | UFFD_USER_MODE_ONLY, 0);

	EXPECT(0, uffd_register(uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	return uffd;
}

static void user_access(struct mapping *m)
{
	int uffd = stage(m);
	struct uffd_msg msg;
	struct toucher t;

	toucher_start(&t, m->addr);
	uffd_wait_fault(uffd, &msg);
	EXPECT(0, uffd_copy(uffd, m->addr, 0x42));
	CHECK(toucher_join(&t).value == 0x42, "it read something else");
}

static void kernel_access(struct mapping *m)
{
	int uffd = stage(m), p[2];

	CHECK(!pipe(p), "pipe: %m");
	CHECK(write(p[1], m->addr, 1) == -1 && errno == EFAULT, "write: %m");
	CHECK(uffd_quiet(uffd), "an event after all");
}

static void vcpu(struct mapping *m)
{
	int uffd = stage(m);
	struct guest_exit e;
	struct guest g;

	guest_create(&g, m, 0);
	e = guest_access(&g, OP_READ, GUEST_RAM);
	CHECK(!guest_done(&e), "the vCPU read byte 0x%x", e.value);
	CHECK(e.err, "KVM_RUN returned 0, exit reason %u", e.reason);
	CHECK(uffd_quiet(uffd), "an event after all");
	NOTE("KVM_RUN: %s", strerror(-e.err));
}

/* The contrast: an ordinary userfaultfd reports the emulator's access too */
static void *resolve(void *arg)
{
	struct uffd_msg msg;

	uffd_wait_fault(*(int *)arg, &msg);
	EXPECT(0, uffd_copy(*(int *)arg, (void *)(msg.arg.pagefault.address &
						  ~(PAGE - 1)), 0x42));
	return NULL;
}

static void ordinary_kernel_access(struct mapping *m)
{
	int uffd = uffd_missing(m), p[2];
	pthread_t thread;
	char c = 0;

	CHECK(!pipe(p), "pipe: %m");
	CHECK(!pthread_create(&thread, NULL, resolve, &uffd), "no thread");
	CHECK(write(p[1], m->addr, 1) == 1, "write: %m");
	CHECK(!pthread_join(thread, NULL), "pthread_join failed");
	CHECK(read(p[0], &c, 1) == 1 && c == 0x42, "byte 0x%x", c);
}

static const struct kcase cases[] = {
	{ "user", "USER_MODE_ONLY: user-mode faults raise events", user_access,
	  ON_BOTH },
	{ "kernel", "USER_MODE_ONLY: a system call gets EFAULT, no event",
	  kernel_access, ON_BOTH },
	{ "vcpu", "USER_MODE_ONLY: KVM_RUN fails, no event", vcpu, ON_BOTH },
	{ "ordinary", "without it a system call blocks until the page is there",
	  ordinary_kernel_access, ON_BOTH },
};

KTEST_MAIN(cases)
