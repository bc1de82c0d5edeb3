/* SPDX-License-Identifier: MIT */
/*
 * x86_cpuid.h - Tables of CPUID leaves: built, numbered, compared
 *
 * A table is what a guest sees on vCPU 0. Pure, except cpuid_add_user(), which
 * executes CPUID. Sources: Intel SDM vol. 2, CPUID; AMD APM vol. 3, appendix E;
 * the kernel's Documentation/virt/kvm/x86/cpuid.rst.
 */
#ifndef FERRY_X86_CPUID_H
#define FERRY_X86_CPUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/kvm/kvm.h"
#include "x86_mce.h"

enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX, CPUID_REGS };

/**
 * struct cpuid_word - A register of a leaf whose bits are features
 * @leaf, @index: leaf and subleaf
 * @reg:	the register
 * @name:	of each bit, as in Linux's /proc/cpuinfo; NULL for none
 */
struct cpuid_word {
	uint32_t leaf, index;
	enum cpuid_reg reg;
	const char *name[32];
};

/* The last entry has leaf 0, whose registers are no features */
extern const struct cpuid_word cpuid_words[];

/** cpuid_xsave_name() - Name of a component of the XSAVE area, or "?" */
const char *cpuid_xsave_name(unsigned component);

/**
 * cpuid_find() - Find a leaf in a table
 * @t:		the table
 * @leaf:	its number
 * @index:	subleaf; ignored if the leaf has none
 *
 * Return: the entry, or NULL
 */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid_table *t, uint32_t leaf,
				    uint32_t index);

/**
 * cpuid_add() - Append a leaf
 * @t:		the table
 * @e:		the leaf
 *
 * Return: 0, -ENOSPC
 */
int cpuid_add(struct kvm_cpuid_table *t, const struct kvm_cpuid_entry2 *e);

/**
 * cpuid_get_id() - The vendor string of leaf 0
 * @e:		the leaf
 * @id:		filled in; no terminating zero
 */
void cpuid_get_id(const struct kvm_cpuid_entry2 *e, char id[CPU_VENDOR_ID]);

/**
 * cpuid_vendor() - Set the vendor that a guest sees
 * @t:		changed in leaves 0, 0x80000000 and 0x80000007; the last tells
 *		an AMD guest that it survives a memory error (SUCCOR, overflow
 *		recovery)
 * @vendor:	the vendor
 */
void cpuid_vendor(struct kvm_cpuid_table *t, enum cpu_vendor vendor);

/**
 * cpuid_set_features() - Change KVM's list of features into what a guest sees
 * @t:		KVM's list, changed in leaves 1, 7, 0xd and 0x80000001 and in KVM's
 *		own
 * @tsc_deadline: KVM has the TSC deadline timer, which its list leaves out
 */
void cpuid_set_features(struct kvm_cpuid_table *t, bool tsc_deadline);

/**
 * cpuid_add_recovery() - Make room for the leaf of cpuid_vendor()'s SUCCOR
 * @t:		leaf 0x80000007 is added if it is missing
 *
 * Return: 0, -ENOTSUP (no extended leaves), -ENOSPC
 */
int cpuid_add_recovery(struct kvm_cpuid_table *t);

/**
 * cpuid_no_hypercalls() - Remove the features that Linux uses by hypercalls
 * @t:		changed in KVM's leaf of features: kicks, interrupts between
 *		vCPUs, yielding, memory that a migration may skip
 *
 * For a guest that sees another vendor than its host's. Linux makes hypercalls
 * by its vendor's instruction (VMCALL, VMMCALL), which is invalid on the other
 * vendor's processor. KVM then overwrites the instruction with the host's
 * (KVM_X86_QUIRK_FIX_HYPERCALL_INSN), and Linux, whose code is read-only,
 * takes a page fault that it does not survive.
 */
void cpuid_no_hypercalls(struct kvm_cpuid_table *t);

/**
 * cpuid_baseline() - The processor that is the same on every host
 * @t:		filled in, except the topology
 * @vendor:	the vendor
 * @end:	first guest-physical address after RAM: above 512 GiB the
 *		processor has wider physical addresses
 *
 * x86-64-v2 without any feature whose state varies in size: docs/cpu.md.
 */
void cpuid_baseline(struct kvm_cpuid_table *t, enum cpu_vendor vendor,
		    uint64_t end);

/**
 * cpuid_topology() - Arrange the vCPUs as cores of one package
 * @t:		changed in the leaves that describe it: 1, 4, 0xb, 0x1f,
 *		0x80000001, 0x80000008, 0x8000001d, 0x8000001e, 0x80000026
 * @vendor:	the vendor that @t names
 * @cpus:	number of vCPUs, whose APIC IDs count from 0
 *
 * Return: 0, -ENOSPC
 */
int cpuid_topology(struct kvm_cpuid_table *t, enum cpu_vendor vendor,
		   unsigned cpus);

/**
 * cpuid_vcpu() - Turn vCPU 0's table into another vCPU's
 * @t:		changed where a leaf contains the vCPU's own APIC ID
 * @index:	number of the vCPU, which is its APIC ID
 */
void cpuid_vcpu(struct kvm_cpuid_table *t, unsigned index);

/**
 * cpuid_lacks() - Find what a guest's processor has and a host's has not
 * @want:	the guest's; not trusted
 * @have:	the host's
 * @text:	filled in with what is lacking, by name, e.g. "CPUID 0x7 EBX: avx2
 *		(bit 5), bmi2 (bit 8)"; what does not fit is counted
 * @size:	room there, at least 64
 *
 * Compares features, widths of addresses, the layout of the XSAVE area, which is
 * migrated unchanged, and the performance counters.
 *
 * Return: true if anything is lacking
 */
bool cpuid_lacks(struct kvm_cpuid_table *want, struct kvm_cpuid_table *have,
		 char *text, size_t size);

/**
 * arch_capabilities_lack() - Bits of IA32_ARCH_CAPABILITIES that a host lacks
 * @want:	what the guest sees
 * @have:	the host's
 *
 * Most bits say that the processor does not have a bug, or has a control. RSBA
 * and RRSBA say that it has one: a guest that does not see them must not run
 * where they are set (SDM vol. 4).
 *
 * Return: the bits that differ in the direction that matters
 */
uint64_t arch_capabilities_lack(uint64_t want, uint64_t have);

/**
 * perf_capabilities_lack() - Bits of IA32_PERF_CAPABILITIES that a host lacks
 * @want:	what the guest sees
 * @have:	the host's
 *
 * The formats of LBR (bits 5:0) and PEBS records (11:8) must be equal if the
 * guest has them; the other bits are features.
 *
 * Return: the bits that are lacking or differ
 */
uint64_t perf_capabilities_lack(uint64_t want, uint64_t have);

/**
 * cpuid_add_user() - Add instructions of this processor that KVM can't disable
 * @t:		KVM's list
 *
 * SSE3 to SSE4.2 and POPCNT: no state of their own, no control bit, never
 * intercepted. A KVM that runs the guest's user mode directly on the processor
 * and emulates the rest (kvm_pvm) does not list them, but its guests have them.
 */
void cpuid_add_user(struct kvm_cpuid_table *t);

#endif /* FERRY_X86_CPUID_H */
