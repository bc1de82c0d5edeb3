// SPDX-License-Identifier: MIT
/*
 * vcpu-poison.c - A vCPU that accesses poison: EINTR from KVM_RUN, and SIGBUS
 *
 * The signal has all that a machine check needs: that action is required, the
 * size (one page) and the address. The kernel sends it with and without
 * CONFIG_MEMORY_FAILURE.
 */
#include "kguest.h"

static void check_sigbus(const struct guest_exit *e, const void *page)
{
	CHECK(e->err == -EINTR, "KVM_RUN: %s, exit reason %u",
	      strerror(-e->err), e->reason);
	CHECK(e->sigbus, "KVM_RUN was interrupted, but not by SIGBUS");
	CHECK(e->si.si_code == BUS_MCEERR_AR, "si_code %d", e->si.si_code);
	CHECK(e->si.si_addr_lsb == 12, "lsb %d", e->si.si_addr_lsb);
	CHECK(e->si.si_addr == page, "si_addr %p, expected %p", e->si.si_addr,
	      page);
}

static void touch_page(struct mapping *m, enum guest_op op, unsigned flags)
{
	int uffd = uffd_missing(m);
	struct guest_exit e;
	struct guest g;

	EXPECT(0, uffd_copy(uffd, m->addr, 0x11));
	EXPECT(0, uffd_poison(uffd, m->addr + PAGE, PAGE));
	EXPECT(0, uffd_copy(uffd, m->addr + 2 * PAGE, 0x33));
	guest_create(&g, m, flags);

	e = guest_access(&g, OP_READ, GUEST_RAM + PAGE - 1);
	CHECK(guest_done(&e) && e.value == 0x11, "page before: KVM_RUN %s, "
	      "reason %u, address 0x%llx, byte 0x%x", strerror(-e.err),
	      e.reason, (unsigned long long)e.mmio, e.value);
	e = guest_access(&g, op, GUEST_RAM + PAGE + 0x123);
	check_sigbus(&e, m->addr + PAGE);
	/* Left as it is, the same instruction meets the same page again */
	e = guest_run(&g);
	check_sigbus(&e, m->addr + PAGE);
	e = guest_access(&g, OP_READ, GUEST_RAM + 2 * PAGE);
	CHECK(guest_done(&e) && e.value == 0x33, "page after: KVM_RUN %s, "
	      "reason %u", strerror(-e.err), e.reason);
}

static void vcpu_read(struct mapping *m)
{
	touch_page(m, OP_READ, 0);
}

static void vcpu_write(struct mapping *m)
{
	touch_page(m, OP_WRITE, 0);
}

static void vcpu_irqchip(struct mapping *m)
{
	touch_page(m, OP_READ, GUEST_IRQCHIP);
}

/* The page was mapped in the guest's page tables before it was taken away */
static void after_mapped(struct mapping *m)
{
	int uffd = uffd_missing(m);
	struct guest_exit e;
	struct guest g;

	EXPECT(0, uffd_copy(uffd, m->addr, 0x11));
	guest_create(&g, m, 0);
	e = guest_access(&g, OP_READ, GUEST_RAM);
	CHECK(guest_done(&e) && e.value == 0x11, "KVM_RUN: %s",
	      strerror(-e.err));
	CHECK(!madvise(m->addr, PAGE, MADV_DONTNEED), "MADV_DONTNEED: %m");
	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	e = guest_access(&g, OP_READ, GUEST_RAM);
	check_sigbus(&e, m->addr);
}

static const struct kcase cases[] = {
	{ "read", "a vCPU's read: EINTR, SIGBUS MCEERR_AR, lsb 12, si_addr "
	  "the page", vcpu_read, ON_BOTH },
	{ "write", "a vCPU's write: the same", vcpu_write, ON_BOTH },
	{ "irqchip", "the same where async page faults are possible",
	  vcpu_irqchip, ON_BOTH },
	{ "mapped", "the same for a page that the guest had mapped before",
	  after_mapped, ON_BOTH },
};

KTEST_MAIN(cases)
