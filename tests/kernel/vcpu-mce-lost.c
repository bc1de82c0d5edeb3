// SPDX-License-Identifier: MIT
/*
 * vcpu-mce-lost.c - KVM_X86_SET_MCE returns 0, but an event is lost
 *
 * It returns 0 where it stores the event, where it drops it (MCG_CTL or MCi_CTL
 * not all ones, as they are before SETUP_MCE) and where it kills the guest
 * (CR4.MCE clear, or MCIP set: a triple fault). A VMM must check these before,
 * or read the registers back.
 *
 * And the machine check takes the place of an interrupt (exception, NMI) that
 * KVM has begun to deliver. With an in-kernel local APIC, as here, the interrupt
 * stays in service: no more of its priority class, or of a lower one, arrive.
 *
 * And KVM may complete the exit before by its emulator, which drops the machine
 * check. MCIP and the record stay.
 */
#include "kguest.h"

#define LOW_IDT		0x7000UL
#define LOW_HANDLER	0x4100UL
#define HANDLER_STEP	8UL
#define VECTOR_MC	18u
#define VECTOR_DEVICE	0x41u
#define VECTOR_LOWER	0x35u
#define RING0_CODE	0x08UL
#define GATE_INTERRUPT	0x8e00UL	/* present, 64-bit interrupt gate */
#define MSR_APIC_BASE	0x1b
#define X2APIC		0xc00ULL	/* APIC_BASE: enabled, x2APIC mode */
#define MSR_X2APIC_SVR	0x80f
#define MSR_X2APIC_ICR	0x830
#define TO_SELF		(1ULL << 18)
#define APIC_ISR	0x100UL		/* 8 words, 16 bytes apart */

static void before_setup(struct mapping *m)
{
	struct guest g;

	guest_create(&g, m, 0);
	EXPECT(0, guest_mce(&g, AR_INTEL));
	CHECK(!guest_msr(&g, MSR_STATUS), "stored");
}

static void dropped(struct mapping *m)
{
	struct guest g;

	guest_mce_create(&g, m, 0, true);
	EXPECT(0, guest_set_msr(&g, MSR_CTL, 0));
	EXPECT(0, guest_mce(&g, AR_INTEL));
	CHECK(!guest_msr(&g, MSR_STATUS), "bank off, yet stored");
	EXPECT(0, guest_set_msr(&g, MSR_CTL, ~0ULL));
	EXPECT(0, guest_set_msr(&g, MSR_MCG_CTL, 0));
	EXPECT(0, guest_mce(&g, AR_INTEL));
	CHECK(!guest_msr(&g, MSR_STATUS), "MCG_CTL 0, yet stored");
	CHECK(!guest_msr(&g, MSR_MCG_STATUS), "MCG_STATUS changed");
}

static void check_shutdown(struct guest *g)
{
	struct guest_exit e = guest_run(g);

	CHECK(!e.err && e.reason == KVM_EXIT_SHUTDOWN, "KVM_RUN: %s, reason "
	      "%u", strerror(-e.err), e.reason);
}

static void no_cr4_mce(struct mapping *m)
{
	struct guest g;

	guest_mce_create(&g, m, 0, false);
	EXPECT(0, guest_mce(&g, AR_INTEL));
	CHECK(!guest_msr(&g, MSR_STATUS), "stored");
	check_shutdown(&g);
}

static void mcip_set(struct mapping *m)
{
	struct guest g;

	guest_mce_create(&g, m, 0, true);
	EXPECT(0, guest_set_msr(&g, MSR_MCG_STATUS, 4));
	EXPECT(0, guest_mce(&g, AR_INTEL));
	CHECK(!guest_msr(&g, MSR_STATUS), "stored");
	check_shutdown(&g);
}

/* mov $VECTOR,%al; mov %al,(%rdx), which exits; iretq */
static void handle(struct guest *g, unsigned vector, unsigned n)
{
	const uint64_t at = LOW_HANDLER + n * HANDLER_STEP;
	const uint8_t code[] = { 0xb0, (uint8_t)vector, 0x88, 0x02, 0x48,
				 0xcf };
	uint64_t *gate = (uint64_t *)(g->low + LOW_IDT) + 2 * vector;

	memcpy(g->low + at, code, sizeof(code));
	gate[0] = at | RING0_CODE << 16 | GATE_INTERRUPT << 32;
}

static void interruptible(struct guest *g, struct mapping *m)
{
	struct kvm_sregs s;

	guest_mce_create(g, m, GUEST_IRQCHIP | GUEST_RING0, true);
	CHECK(!ioctl(g->vcpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS: %m");
	s.idt = (struct kvm_dtable){ .base = LOW_IDT, .limit = 0xfff };
	CHECK(!ioctl(g->vcpu, KVM_SET_SREGS, &s), "KVM_SET_SREGS: %m");
	EXPECT(0, guest_set_msr(g, MSR_APIC_BASE,
				guest_msr(g, MSR_APIC_BASE) | X2APIC));
	EXPECT(0, guest_set_msr(g, MSR_X2APIC_SVR, 0x1ff));
	handle(g, VECTOR_MC, 0);
	handle(g, VECTOR_DEVICE, 1);
	handle(g, VECTOR_LOWER, 2);
}

/* Which vector's handler runs next? 0: none, the guest's own code */
static unsigned next(struct guest *g)
{
	struct guest_exit e = guest_run(g);

	CHECK(guest_done(&e), "KVM_RUN: %s, reason %u", strerror(-e.err),
	      e.reason);
	return e.value;
}

static bool in_service(struct guest *g, unsigned vector)
{
	struct kvm_lapic_state s;
	uint32_t word;

	CHECK(!ioctl(g->vcpu, KVM_GET_LAPIC, &s), "KVM_GET_LAPIC: %m");
	memcpy(&word, s.regs + APIC_ISR + vector / 32 * 16, sizeof(word));
	return word >> vector % 32 & 1;
}

/*
 * What a signal between injection and entry leaves: the local APIC has the
 * interrupt in service, and KVM has it in the vCPU's events
 */
static void begin_to_deliver(struct guest *g, unsigned vector)
{
	struct kvm_vcpu_events ev;
	struct kvm_lapic_state s;
	uint32_t word;

	CHECK(!ioctl(g->vcpu, KVM_GET_LAPIC, &s), "KVM_GET_LAPIC: %m");
	memcpy(&word, s.regs + APIC_ISR + vector / 32 * 16, sizeof(word));
	word |= 1u << vector % 32;
	memcpy(s.regs + APIC_ISR + vector / 32 * 16, &word, sizeof(word));
	CHECK(!ioctl(g->vcpu, KVM_SET_LAPIC, &s), "KVM_SET_LAPIC: %m");
	CHECK(!ioctl(g->vcpu, KVM_GET_VCPU_EVENTS, &ev), "%m");
	ev.interrupt.injected = 1;
	ev.interrupt.nr = (uint8_t)vector;
	CHECK(!ioctl(g->vcpu, KVM_SET_VCPU_EVENTS, &ev), "%m");
}

static void delivered(struct mapping *m)
{
	struct guest g;

	interruptible(&g, m);
	begin_to_deliver(&g, VECTOR_DEVICE);
	EXPECT((int)VECTOR_DEVICE, (int)next(&g));
	EXPECT(0, (int)next(&g));
}

static void interrupt(struct mapping *m)
{
	struct kvm_vcpu_events ev;
	struct guest g;

	interruptible(&g, m);
	begin_to_deliver(&g, VECTOR_DEVICE);
	EXPECT(0, guest_mce(&g, AR_INTEL));
	EXPECT((int)VECTOR_MC, (int)next(&g));
	CHECK(!ioctl(g.vcpu, KVM_GET_VCPU_EVENTS, &ev), "%m");
	CHECK(!ev.interrupt.injected, "it is still to be delivered");
	CHECK(in_service(&g, VECTOR_DEVICE), "it is not in service");
	EXPECT(0, guest_set_msr(&g, MSR_X2APIC_ICR, TO_SELF | VECTOR_LOWER));
	EXPECT(0, (int)next(&g));
}

#define MSR_MCG_CAP	0x179U
#define RDMSR_HANDLER	(LOW_HANDLER + 0x40)

/* Reads of MCG_CAP exit */
static void exit_at_mcg_cap(struct guest *g)
{
	uint8_t bitmap[1] = { 0 };
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = {
			.flags = KVM_MSR_FILTER_READ, .nmsrs = 1,
			.base = MSR_MCG_CAP, .bitmap = bitmap,
		},
	};
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args[0] = KVM_MSR_EXIT_REASON_FILTER,
	};

	CHECK(!ioctl(g->vm, KVM_ENABLE_CAP, &cap), "KVM_ENABLE_CAP: %m");
	CHECK(!ioctl(g->vm, KVM_X86_SET_MSR_FILTER, &filter), "%m");
}

/* The guest leaves at RDMSR, in the handler of an interrupt */
static void leave_at_rdmsr(struct guest *g, struct mapping *m)
{
	/* mov $MSR_MCG_CAP,%ecx; rdmsr; iretq */
	static const uint8_t code[] = { 0xb9, 0x79, 1, 0, 0, 0x0f, 0x32, 0x48,
					0xcf };
	uint64_t *gate;
	struct guest_exit e;

	interruptible(g, m);
	exit_at_mcg_cap(g);
	gate = (uint64_t *)(g->low + LOW_IDT) + 2 * VECTOR_DEVICE;
	memcpy(g->low + RDMSR_HANDLER, code, sizeof(code));
	gate[0] = RDMSR_HANDLER | RING0_CODE << 16 | GATE_INTERRUPT << 32;
	begin_to_deliver(g, VECTOR_DEVICE);
	e = guest_run(g);
	CHECK(!e.err && e.reason == KVM_EXIT_X86_RDMSR, "KVM_RUN: %s, reason "
	      "%u", strerror(-e.err), e.reason);
	/* EDX is where the handlers store */
	g->run->msr.data = GUEST_MMIO << 32;
}

static void before_completion(struct mapping *m)
{
	struct guest g;
	unsigned vector;

	leave_at_rdmsr(&g, m);
	EXPECT(0, guest_mce(&g, AR_INTEL));
	vector = next(&g);
	CHECK(vector == VECTOR_MC || !vector, "vector %u", vector);
	NOTE("the machine check %s", vector ? "arrived" : "was lost");
	CHECK(guest_msr(&g, MSR_MCG_STATUS) == MCG_IN_PROGRESS, "no MCIP");
	CHECK(guest_msr(&g, MSR_STATUS) == AR_INTEL, "no record");
}

static void after_completion(struct mapping *m)
{
	struct guest_exit e;
	struct guest g;

	leave_at_rdmsr(&g, m);
	g.run->immediate_exit = 1;
	e = guest_run(&g);
	EXPECT(-EINTR, e.err);
	g.run->immediate_exit = 0;
	EXPECT(0, guest_mce(&g, AR_INTEL));
	EXPECT((int)VECTOR_MC, (int)next(&g));
}

static const struct kcase cases[] = {
	{ "setup", "returns 0 and does nothing: no SETUP_MCE before",
	  before_setup, ON_ANON },
	{ "ctl", "returns 0 and does nothing: MCi_CTL, MCG_CTL not all ones",
	  dropped, ON_ANON },
	{ "cr4", "returns 0 and ends the guest: CR4.MCE clear", no_cr4_mce,
	  ON_ANON },
	{ "mcip", "returns 0 and ends the guest: MCIP set", mcip_set,
	  ON_ANON },
	{ "delivered", "an interrupt that KVM has begun to deliver arrives",
	  delivered, ON_ANON },
	{ "interrupt", "returns 0 and loses that interrupt, and what is below",
	  interrupt, ON_ANON },
	{ "exit", "returns 0 and may be lost: the last exit is not complete",
	  before_completion, ON_ANON },
	{ "completed", "arrives: the last exit is complete", after_completion,
	  ON_ANON },
};

KTEST_MAIN(cases)
