// SPDX-License-Identifier: MIT
/*
 * vcpu-shadow.c - STI and HLT stay together
 *
 * The instruction after STI executes before any interrupt is taken (SDM vol. 2,
 * STI; APM vol. 2, 15.21.5 "Interrupt Shadows"). An idle loop depends on that:
 * if an interrupt were taken between STI and HLT, HLT would sleep although the
 * interrupt has arrived. A vCPU may leave the guest between the two, for an
 * interrupt of the host or for a migration: the shadow is then part of the
 * state, and must be restored before the vCPU continues.
 */
#include "kguest.h"

/* In the guest's own 64 KiB, where kguest has nothing (guest addresses) */
#define IDT		0x9000UL
#define CODE		0xb000UL
#define HANDLER		0xb100UL

#define VECTOR		0x40
#define LAPIC_SVR	0xf0		/* SDM vol. 3, "Spurious Interrupt" */
#define SVR_ENABLED	0x1ff
#define MSI_TO_0	0xfee00000
#define IF		0x202

/* hlt; then mov %al,GUEST_MMIO in RDX */
static const unsigned char code[] = { 0xf4, 0x88, 0x02 };
/* mov (%rsp),%al: where it was interrupted; mov %al,GUEST_MMIO in RDX */
static const unsigned char handler[] = { 0x8a, 0x04, 0x24, 0x88, 0x02 };

static void idt_set(struct guest *g)
{
	struct kvm_sregs s;
	/* 64-bit interrupt gate, ring 0, to HANDLER in segment 8 */
	const uint64_t gate[2] = {
		(HANDLER & 0xffff) | 8UL << 16 | 0x8e00UL << 32, 0,
	};

	memcpy(g->low + IDT + 16UL * VECTOR, gate, sizeof(gate));
	CHECK(!ioctl(g->vcpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS: %m");
	s.idt = (struct kvm_dtable){ .base = IDT, .limit = 0xfff };
	CHECK(!ioctl(g->vcpu, KVM_SET_SREGS, &s), "KVM_SET_SREGS: %m");
}

static void interrupt(struct guest *g)
{
	struct kvm_msi msi = { .address_lo = MSI_TO_0, .data = VECTOR };
	struct kvm_lapic_state lapic;
	const uint32_t enabled = SVR_ENABLED;

	CHECK(!ioctl(g->vcpu, KVM_GET_LAPIC, &lapic), "KVM_GET_LAPIC: %m");
	memcpy(lapic.regs + LAPIC_SVR, &enabled, sizeof(enabled));
	CHECK(!ioctl(g->vcpu, KVM_SET_LAPIC, &lapic), "KVM_SET_LAPIC: %m");
	CHECK(ioctl(g->vm, KVM_SIGNAL_MSI, &msi) == 1, "KVM_SIGNAL_MSI: %m");
}

/* The guest is at HLT, an interrupt pending. Return: where it was taken */
static uint64_t taken_at(struct mapping *m, bool shadow)
{
	struct kvm_regs regs = {
		.rip = CODE, .rsp = IDT, .rdx = GUEST_MMIO, .rflags = IF,
	};
	struct kvm_vcpu_events ev;
	struct guest_exit e;
	struct guest g;

	guest_create(&g, m, GUEST_IRQCHIP | GUEST_RING0);
	memcpy(g.low + CODE, code, sizeof(code));
	memcpy(g.low + HANDLER, handler, sizeof(handler));
	idt_set(&g);
	CHECK(!ioctl(g.vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS: %m");
	interrupt(&g);
	CHECK(!ioctl(g.vcpu, KVM_GET_VCPU_EVENTS, &ev), "%m");
	ev.interrupt.shadow = shadow ? KVM_X86_SHADOW_INT_STI : 0;
	ev.flags |= KVM_VCPUEVENT_VALID_SHADOW;
	CHECK(!ioctl(g.vcpu, KVM_SET_VCPU_EVENTS, &ev), "%m");
	e = guest_run(&g);
	CHECK(guest_done(&e), "KVM_RUN: %s, reason %u", strerror(-e.err),
	      e.reason);
	return CODE + e.value;
}

static void kept(struct mapping *m)
{
	uint64_t at = taken_at(m, true);

	CHECK(at == CODE + 1, "the interrupt was taken before HLT: this machine "
	      "forgets the shadow when it enters the guest, and idle guests "
	      "hang (QEMU's TCG before 9.1 does)");
}

static void open_(struct mapping *m)
{
	CHECK(taken_at(m, false) == CODE, "HLT was run first");
}

static const struct kcase cases[] = {
	{ "kept", "no interrupt is taken between STI and HLT", kept, ON_ANON },
	{ "open", "without a shadow it is taken before HLT", open_, ON_ANON },
};

KTEST_MAIN(cases)
