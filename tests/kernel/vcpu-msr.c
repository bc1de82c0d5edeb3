// SPDX-License-Identifier: MIT
/*
 * vcpu-msr.c - One MSR that the VMM answers instead of KVM
 *
 * kvm_amd removes MCG_SER_P from the value of KVM_X86_SETUP_MCE, and without it
 * a Linux guest whose CPUID says Intel does not recover from a memory error. So
 * the VMM must answer the guest's reads of MCG_CAP. Source: the kernel's
 * Documentation/virt/kvm/api.rst, KVM_X86_SET_MSR_FILTER.
 */
#include "kguest.h"

#define CODE		0xb000UL	/* in the guest's own 64 KiB */
#define MSR_MCG_CAP	0x179
#define ANSWER		0x1122334455667788ULL

/* mov %rdx,%rbx; rdmsr; mov %rbx,%rdx; then mov %al,GUEST_MMIO in RDX */
static const unsigned char code[] = {
	0x48, 0x89, 0xd3, 0x0f, 0x32, 0x48, 0x89, 0xda, 0x88, 0x02,
};

static void take_mcg_cap(struct guest *g)
{
	unsigned long none = 0;
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args = { KVM_MSR_EXIT_REASON_FILTER },
	};
	struct kvm_msr_filter f = {
		.ranges = { {
			.flags = KVM_MSR_FILTER_READ, .base = MSR_MCG_CAP,
			.nmsrs = 1, .bitmap = (uint8_t *)&none,
		} },
	};

	CHECK(!ioctl(g->vm, KVM_ENABLE_CAP, &cap), "KVM_ENABLE_CAP: %m");
	CHECK(!ioctl(g->vm, KVM_X86_SET_MSR_FILTER, &f),
	      "KVM_X86_SET_MSR_FILTER: %m");
}

/* A guest, in ring 0, that reads an MSR. Return: how it left */
static struct guest_exit read_msr(struct guest *g, struct mapping *m,
				  uint32_t index)
{
	struct kvm_regs regs = {
		.rip = CODE, .rcx = index, .rdx = GUEST_MMIO, .rflags = 2,
	};

	guest_mce_create(g, m, GUEST_RING0, false);
	take_mcg_cap(g);
	memcpy(g->low + CODE, code, sizeof(code));
	CHECK(!ioctl(g->vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS: %m");
	return guest_run(g);
}

static void answered(struct mapping *m)
{
	struct guest g;
	struct guest_exit e = read_msr(&g, m, MSR_MCG_CAP);
	struct kvm_regs regs;

	EXPECT(0, e.err);
	CHECK(e.reason == KVM_EXIT_X86_RDMSR, "exit reason %u", e.reason);
	CHECK(g.run->msr.index == MSR_MCG_CAP &&
	      g.run->msr.reason == KVM_MSR_EXIT_REASON_FILTER,
	      "MSR 0x%x, reason %u", g.run->msr.index, g.run->msr.reason);
	g.run->msr.data = ANSWER;
	g.run->msr.error = 0;
	e = guest_run(&g);
	CHECK(guest_done(&e) && e.value == (ANSWER & 0xff), "AL is 0x%x",
	      e.value);
	CHECK(!ioctl(g.vcpu, KVM_GET_REGS, &regs), "KVM_GET_REGS: %m");
	CHECK(regs.rax == (ANSWER & 0xffffffff), "RAX is 0x%llx",
	      (unsigned long long)regs.rax);
	CHECK(guest_msr(&g, MSR_MCG_CAP) != ANSWER,
	      "what was answered became KVM's own");
}

static void others(struct mapping *m)
{
	struct guest g;
	struct guest_exit e = read_msr(&g, m, MSR_MCG_STATUS);

	CHECK(guest_done(&e), "KVM_RUN: %s, reason %u", strerror(-e.err),
	      e.reason);
}

static const struct kcase cases[] = {
	{ "answered", "a filtered RDMSR leaves the guest, and is answered",
	  answered, ON_ANON },
	{ "others", "all other MSRs stay KVM's", others, ON_ANON },
};

KTEST_MAIN(cases)
