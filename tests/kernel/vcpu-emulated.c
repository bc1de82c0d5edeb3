// SPDX-License-Identifier: MIT
/*
 * vcpu-emulated.c - KVM's emulator accesses poison: MMIO exit, no signal
 *
 * An instruction that KVM emulates reads guest RAM by copying from user space.
 * Poison makes the copy fail, and KVM treats an address without memory as that
 * of a device: KVM_EXIT_MMIO for an address that is RAM. MOVSB between a
 * device and RAM is emulated on every KVM; where ring 0 is emulated (kvm_pvm),
 * any access from there is. A VMM must look such exits up in its RAM map, and
 * must answer with a machine check, not with data.
 */
#include "kguest.h"

static int stage(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_copy(uffd, m->addr, 0x11));
	EXPECT(0, uffd_poison(uffd, m->addr + PAGE, PAGE));
	return uffd;
}

static void check_ram_mmio(const struct guest_exit *e, bool write)
{
	CHECK(!e->err && e->reason == KVM_EXIT_MMIO, "KVM_RUN: %s, reason %u",
	      strerror(-e->err), e->reason);
	CHECK(!e->sigbus, "and a SIGBUS");
	CHECK(e->mmio == GUEST_RAM + PAGE + 0x10 && e->write == write,
	      "address 0x%llx, %s", (unsigned long long)e->mmio,
	      e->write ? "write" : "read");
}

/* From a device to RAM: the emulator has the byte, and cannot store it */
static void store(struct mapping *m)
{
	struct guest_exit e;
	struct guest g;

	stage(m);
	guest_create(&g, m, 0);
	guest_set(&g, OP_MOVE, GUEST_RAM + PAGE + 0x10, GUEST_MMIO);
	e = guest_run(&g);
	CHECK(!e.err && e.reason == KVM_EXIT_MMIO && e.mmio == GUEST_MMIO &&
	      !e.write, "KVM_RUN: %s, reason %u, address 0x%llx",
	      strerror(-e.err), e.reason, (unsigned long long)e.mmio);
	g.run->mmio.data[0] = 0x77;
	e = guest_run(&g);
	check_ram_mmio(&e, true);
}

static void ring0(struct mapping *m, enum guest_op op)
{
	struct guest_exit e;
	struct guest g;

	stage(m);
	guest_create(&g, m, GUEST_RING0);
	e = guest_access(&g, OP_READ, GUEST_RAM);
	CHECK(guest_done(&e) && e.value == 0x11, "KVM_RUN: %s, reason %u",
	      strerror(-e.err), e.reason);
	e = guest_access(&g, op, GUEST_RAM + PAGE + 0x10);
	if (e.err == -EINTR && e.sigbus)
		SKIP("ring 0 is not emulated here: KVM_RUN EINTR and SIGBUS");
	check_ram_mmio(&e, op == OP_WRITE);
}

static void ring0_read(struct mapping *m)
{
	ring0(m, OP_READ);
}

static void ring0_write(struct mapping *m)
{
	ring0(m, OP_WRITE);
}

static const struct kcase cases[] = {
	{ "store", "MOVSB from a device: the store is KVM_EXIT_MMIO on RAM",
	  store, ON_BOTH },
	{ "ring0-read", "emulated ring 0: a read is KVM_EXIT_MMIO on RAM",
	  ring0_read, ON_BOTH },
	{ "ring0-write", "emulated ring 0: a write is KVM_EXIT_MMIO on RAM",
	  ring0_write, ON_BOTH },
};

KTEST_MAIN(cases)
