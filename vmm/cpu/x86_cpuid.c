// SPDX-License-Identifier: MIT
/*
 * x86_cpuid.c - Changes to a table of CPUID leaves
 *
 * Removed from what KVM lists: nested virtualization and control-flow
 * enforcement (CET), because their state is not saved (the latter's
 * shadow-stack pointer), and asynchronous page faults, because no vCPU's latency counts the
 * wait for a page that a kernel worker fetches. Added: what a guest needs to
 * survive a memory error in its vendor's format (AMD APM vol. 3, CPUID
 * Fn8000_0007_EBX: overflow recovery, SUCCOR).
 */

#include <cpuid.h>
#include <errno.h>
#include <string.h>

#include <linux/kvm_para.h>

#include "vmm/base/bytes.h"
#include "x86_cpuid.h"

#define LEAF1_ECX_VMX		(1u << 5)
#define LEAF1_ECX_X2APIC	(1u << 21)
#define LEAF1_ECX_TSC_DEADLINE	(1u << 24)
#define LEAF1_ECX_HYPERVISOR	(1u << 31)
#define LEAF1_EDX_MCE		(1u << 7)
#define LEAF1_EDX_MCA		(1u << 14)
#define LEAF7_ECX_SHSTK		(1u << 7)
#define LEAF7_EDX_IBT		(1u << 20)
#define XSS_CET_U		11
#define XSS_CET_S		12
#define EXT1_ECX_SVM		(1u << 2)
#define EXT7_EBX_RECOVERY	3u	/* MCA overflow recovery, SUCCOR */

/* The vendor string's order of registers is EBX, EDX, ECX */
void cpuid_get_id(const struct kvm_cpuid_entry2 *e, char id[CPU_VENDOR_ID])
{
	memcpy(id, &e->ebx, 4);
	memcpy(id + 4, &e->edx, 4);
	memcpy(id + 8, &e->ecx, 4);
}

static void set_id(struct kvm_cpuid_entry2 *e, const char *id)
{
	memcpy(&e->ebx, id, 4);
	memcpy(&e->edx, id + 4, 4);
	memcpy(&e->ecx, id + 8, 4);
}

void cpuid_vendor(struct kvm_cpuid_table *t, enum cpu_vendor vendor)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, 0, 0);

	set_id(e, vendor_id(vendor));
	e = cpuid_find(t, 0x80000000, 0);
	if (e && vendor == VENDOR_AMD)
		set_id(e, vendor_id(vendor));
	else if (e)
		e->ebx = e->ecx = e->edx = 0;	/* as Intel has it */

	e = cpuid_find(t, 0x80000007, 0);
	if (e && vendor == VENDOR_AMD)
		e->ebx |= EXT7_EBX_RECOVERY;
	else if (e)
		e->ebx = 0;
}

void cpuid_no_hypercalls(struct kvm_cpuid_table *t)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, KVM_CPUID_FEATURES, 0);

	if (e)
		e->eax &= ~(1u << KVM_FEATURE_PV_UNHALT |
			    1u << KVM_FEATURE_PV_SEND_IPI |
			    1u << KVM_FEATURE_PV_SCHED_YIELD |
			    1u << KVM_FEATURE_HC_MAP_GPA_RANGE |
			    1u << KVM_FEATURE_MIGRATION_CONTROL);
}

/* XSAVE has all of CET's state, except the shadow-stack pointer */
static void remove_cet(struct kvm_cpuid_table *t)
{
	static const uint32_t component[] = { XSS_CET_U, XSS_CET_S };
	struct kvm_cpuid_entry2 *e = cpuid_find(t, 7, 0);

	if (e) {
		e->ecx &= ~LEAF7_ECX_SHSTK;
		e->edx &= ~LEAF7_EDX_IBT;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(component); i++) {
		e = cpuid_find(t, 0xd, 1);
		if (e && e->index == 1)
			e->ecx &= ~(1u << component[i]);
		e = cpuid_find(t, 0xd, component[i]);
		if (e && e->index == component[i])
			e->eax = e->ebx = e->ecx = e->edx = 0;
	}
}

void cpuid_set_features(struct kvm_cpuid_table *t, bool tsc_deadline)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, 1, 0);

	e->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_X2APIC;
	e->ecx &= ~LEAF1_ECX_VMX;
	if (tsc_deadline)
		e->ecx |= LEAF1_ECX_TSC_DEADLINE;
	e->edx |= LEAF1_EDX_MCE | LEAF1_EDX_MCA;

	e = cpuid_find(t, 0x80000001, 0);
	if (e)
		e->ecx &= ~EXT1_ECX_SVM;
	remove_cet(t);
	e = cpuid_find(t, KVM_CPUID_FEATURES, 0);
	if (e)
		e->eax &= ~(1u << KVM_FEATURE_ASYNC_PF |
			    1u << KVM_FEATURE_ASYNC_PF_VMEXIT |
			    1u << KVM_FEATURE_ASYNC_PF_INT);
}

int cpuid_add_recovery(struct kvm_cpuid_table *t)
{
	struct kvm_cpuid_entry2 *top = cpuid_find(t, 0x80000000, 0);

	if (cpuid_find(t, 0x80000007, 0))
		return 0;
	if (!top)
		return -ENOTSUP;
	if (top->eax < 0x80000007)
		top->eax = 0x80000007;
	return cpuid_add(t, &(struct kvm_cpuid_entry2){
				.function = 0x80000007 });
}

void cpuid_add_user(struct kvm_cpuid_table *t)
{
	/* pni, ssse3, sse4_1, sse4_2, popcnt */
	const uint32_t harmless = 1u << 0 | 1u << 9 | 1u << 19 | 1u << 20 |
				  1u << 23;
	struct kvm_cpuid_entry2 *e = cpuid_find(t, 1, 0);
	uint32_t a, b, c, d;

	if (e && __get_cpuid(1, &a, &b, &c, &d))
		e->ecx |= c & harmless;
}
