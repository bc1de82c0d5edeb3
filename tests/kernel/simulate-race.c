// SPDX-License-Identifier: MIT
/*
 * simulate-race.c - Simulated poison on a source, with no gap
 *
 * Register as missing first (memfd: and minor, since the page stays in the
 * cache), then MADV_DONTNEED, UFFDIO_POISON. A thread that accesses the page in
 * between blocks, and the poison wakes it with SIGBUS: it never reads zeroes or
 * data.
 */
#include <fcntl.h>

#include "kguest.h"

static int closed_source(struct mapping *m)
{
	uint64_t mode = UFFDIO_REGISTER_MODE_MISSING;
	int uffd;

	if (m->fd >= 0)
		mode |= UFFDIO_REGISTER_MODE_MINOR;
	uffd = uffd_open(O_NONBLOCK, m->fd < 0 ? 0 : UFFD_FEATURE_MINOR_SHMEM);
	memset(m->addr, 0x42, m->len);
	EXPECT(0, uffd_register(uffd, m->addr, m->len, mode, NULL));
	CHECK(!madvise(m->addr + PAGE, PAGE, MADV_DONTNEED), "DONTNEED: %m");
	return uffd;
}

static void no_gap(struct mapping *m)
{
	int uffd = closed_source(m);
	struct uffd_msg msg;
	struct toucher t;

	toucher_start(&t, m->addr + PAGE);
	uffd_wait_fault(uffd, &msg);
	CHECK(toucher_blocked(&t), "the reader got through");
	EXPECT(0, uffd_poison(uffd, m->addr + PAGE, PAGE));
	CHECK(toucher_join(&t).signo == SIGBUS, "the reader read the page");
	EXPECT(0, uffd_unregister(uffd, m->addr, m->len));
	CHECK(poisoned(m->addr + PAGE), "the page can be read");
	CHECK(touch_read(m->addr + PAGE - 1).value == 0x42, "page before");
	CHECK(touch_read(m->addr + 2 * PAGE).value == 0x42, "page after");
}

static void *poison_on_fault(void *arg)
{
	int uffd = *(int *)arg;
	struct uffd_msg msg;

	uffd_wait_fault(uffd, &msg);
	EXPECT(0, uffd_poison(uffd, (void *)(msg.arg.pagefault.address &
					     ~(PAGE - 1)), PAGE));
	return NULL;
}

static void vcpu_meets(struct mapping *m, unsigned flags)
{
	int uffd = closed_source(m);
	struct guest_exit e;
	pthread_t thread;
	struct guest g;

	guest_create(&g, m, flags);
	CHECK(!pthread_create(&thread, NULL, poison_on_fault, &uffd),
	      "no thread");
	e = guest_access(&g, OP_READ, GUEST_RAM + PAGE);
	CHECK(!pthread_join(thread, NULL), "pthread_join failed");
	CHECK(e.err == -EINTR && e.sigbus && e.si.si_code == BUS_MCEERR_AR &&
	      e.si.si_addr == m->addr + PAGE, "KVM_RUN: %s, reason %u, value "
	      "0x%x", strerror(-e.err), e.reason, e.value);
}

static void no_gap_vcpu(struct mapping *m)
{
	vcpu_meets(m, 0);
}

static void no_gap_irqchip(struct mapping *m)
{
	vcpu_meets(m, GUEST_IRQCHIP);
}

static const struct kcase cases[] = {
	{ "reader", "a reader in between blocks, then gets SIGBUS", no_gap,
	  ON_BOTH },
	{ "vcpu", "so does a vCPU: KVM_RUN EINTR, SIGBUS MCEERR_AR",
	  no_gap_vcpu, ON_BOTH },
	{ "irqchip", "also where async page faults are possible",
	  no_gap_irqchip, ON_BOTH },
};

KTEST_MAIN(cases)
