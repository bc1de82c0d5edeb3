/* SPDX-License-Identifier: MIT */
/*
 * cpuid.h - Tables of CPUID leaves: built, numbered, compared (pure, but for
 * cpuid_add_user())
 *
 * A table is what a guest sees on vCPU 0. Sources: Intel SDM vol. 2, CPUID; AMD
 * APM vol. 3, appendix E; the kernel's Documentation/virt/kvm/x86/cpuid.rst.
 */
#ifndef FERRY_CPUID_H
#define FERRY_CPUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mce.h"
#include "vmm/kvm/kvm.h"

enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX, CPUID_REGS };

/**
 * struct cpuid_word - A register of a leaf that is a set of features
 * @leaf, @index: which
 * @reg:	likewise
 * @name:	of each bit, as Linux's /proc/cpuinfo has it; NULL for none
 */
struct cpuid_word {
	uint32_t leaf, index;
	enum cpuid_reg reg;
	const char *name[32];
};

/* Ends with a NULL @name[0] and leaf 0, which is no set of features */
extern const struct cpuid_word cpuid_words[];

/** cpuid_xsave_name() - Of a component of the XSAVE area, or "?" */
const char *cpuid_xsave_name(unsigned component);

/**
 * cpuid_find() - A leaf of a table
 * @t:		the table
 * @leaf:	number
 * @index:	subleaf; any if the leaf has none
 *
 * Return: the entry, or NULL
 */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid_table *t, uint32_t leaf,
				    uint32_t index);

/**
 * cpuid_add() - Append a leaf
 * @t:		the table
 * @e:		what to append
 *
 * Return: 0, -ENOSPC
 */
int cpuid_add(struct kvm_cpuid_table *t, const struct kvm_cpuid_entry2 *e);

/**
 * cpuid_vendor() - Say whose processor it is
 * @t:		changed in leaves 0, 0x80000000 and 0x80000007; the latter tells an
 *		AMD guest that it survives a memory error (SUCCOR, overflow recovery)
 * @vendor:	whose
 */
void cpuid_vendor(struct kvm_cpuid_table *t, enum cpu_vendor vendor);

/**
 * cpuid_no_hypercalls() - Leave out what Linux makes hypercalls for
 * @t:		changed in KVM's leaf of features: kicks, interrupts between vCPUs,
 *		yielding, memory that a migration may skip
 *
 * For a guest of another vendor than its host. It makes them by that vendor's
 * instruction (VMCALL, VMMCALL), which is invalid here. KVM then writes the
 * host's over it (KVM_X86_QUIRK_FIX_HYPERCALL_INSN), and Linux, whose code is
 * read-only, meets a page fault that it does not survive.
 */
void cpuid_no_hypercalls(struct kvm_cpuid_table *t);

/**
 * cpuid_baseline() - The processor that is the same on every host
 * @t:		filled in, but for the topology
 * @vendor:	whose
 * @memory:	bytes of RAM: over 508 GiB it takes wider physical addresses
 *
 * x86-64-v2 without anything whose state varies in size: docs/cpu.md has it whole.
 */
void cpuid_baseline(struct kvm_cpuid_table *t, enum cpu_vendor vendor,
		    uint64_t memory);

/**
 * cpuid_topology() - Say how vCPUs are arranged: cores of one package
 * @t:		changed in the leaves that tell of it: 1, 4, 0xb, 0x1f, 0x80000001,
 *		0x80000008, 0x8000001d, 0x8000001e, 0x80000026
 * @vendor:	that @t says
 * @cpus:	number of vCPUs, whose APIC IDs count from 0
 *
 * Return: 0, -ENOSPC
 */
int cpuid_topology(struct kvm_cpuid_table *t, enum cpu_vendor vendor,
		   unsigned cpus);

/**
 * cpuid_vcpu() - Make vCPU 0's table another one's
 * @t:		changed where a leaf tells the vCPU's own APIC ID
 * @index:	its number, which is its APIC ID
 */
void cpuid_vcpu(struct kvm_cpuid_table *t, unsigned index);

/**
 * cpuid_lacks() - What of a guest's processor does a host not have?
 * @want:	the guest's; not trusted
 * @have:	the host's
 * @text:	filled in with what is lacking, by name, e.g. "CPUID 0x7 EBX: avx2
 *		(bit 5), bmi2 (bit 8)"; what is too much for it is counted
 * @size:	room there, at least 64
 *
 * Features, widths of addresses, and the layout of the XSAVE area, which is
 * migrated as it lies.
 *
 * Return: true if anything is
 */
bool cpuid_lacks(struct kvm_cpuid_table *want, struct kvm_cpuid_table *have,
		 char *text, size_t size);

/**
 * cpuid_add_user() - Add instructions of this processor that no KVM can take away
 * @t:		what KVM lists
 *
 * SSE3 to SSE4.2 and POPCNT: without state of their own, without a control bit, never
 * intercepted. A KVM that runs the guest's user mode on the bare processor
 * and emulates the rest (kvm_pvm) does not list them, and a guest has them all the same.
 */
void cpuid_add_user(struct kvm_cpuid_table *t);

#endif /* FERRY_CPUID_H */
