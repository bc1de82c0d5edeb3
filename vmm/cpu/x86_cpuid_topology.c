// SPDX-License-Identifier: MIT
/*
 * x86_cpuid_topology.c - Arrange a guest's vCPUs as cores of one package
 *
 * One thread in each core, APIC IDs from 0. KVM leaves these leaves empty or
 * with the host's values, which contradict the guest's APIC IDs. All leaves
 * that describe the topology must agree: Linux logs a warning where two do not.
 */

#include <errno.h>

#include "vmm/base/bytes.h"
#include "x86_cpuid.h"

#define LEAF1_EDX_HTT		(1u << 28)
#define EXT1_ECX_CMP_LEGACY	(1u << 1)
#define EXT1_ECX_TOPOEXT	(1u << 22)

/* Leaf 0xb, ECX[15:8] */
#define LEVEL_SMT		1u
#define LEVEL_CORE		2u

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid_table *t, uint32_t leaf,
				    uint32_t index)
{
	for (uint32_t i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entry[i];

		if (e->function == leaf && (e->index == index ||
		    !(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
			return e;
	}
	return NULL;
}

int cpuid_add(struct kvm_cpuid_table *t, const struct kvm_cpuid_entry2 *e)
{
	if (t->nent >= KVM_CPUID_MAX)
		return -ENOSPC;
	t->entry[t->nent++] = *e;
	return 0;
}

static void drop_leaf(struct kvm_cpuid_table *t, uint32_t leaf)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->nent; i++)
		if (t->entry[i].function != leaf)
			t->entry[n++] = t->entry[i];
	t->nent = n;
}

static unsigned id_bits(unsigned cpus)
{
	unsigned bits = 0;

	while (1u << bits < cpus)
		bits++;
	return bits;
}

static void set_counts(struct kvm_cpuid_table *t, enum cpu_vendor vendor,
		       unsigned cpus)
{
	const unsigned ids = vendor == VENDOR_INTEL ? 1u << id_bits(cpus)
						    : cpus;
	struct kvm_cpuid_entry2 *e = cpuid_find(t, 1, 0);

	if (e) {
		e->ebx = (e->ebx & 0x0000ffff) | (ids & 0xff) << 16;
		e->edx &= ~LEAF1_EDX_HTT;
		e->edx |= cpus > 1 ? LEAF1_EDX_HTT : 0;
	}
	e = cpuid_find(t, 0x80000001, 0);
	if (e) {
		e->ecx &= ~EXT1_ECX_CMP_LEGACY;
		e->ecx |= cpus > 1 && vendor == VENDOR_AMD
			? EXT1_ECX_CMP_LEGACY : 0;
	}
	/* ECX: how many cores, and how many bits of the APIC ID number them */
	e = cpuid_find(t, 0x80000008, 0);
	if (e)
		e->ecx = vendor == VENDOR_AMD
			? (cpus - 1) | id_bits(cpus) << 12 : 0;
}

/* Leaves 4 and 0x8000001d: each core has its L1 and L2; all share L3 */
static void set_caches(struct kvm_cpuid_table *t, unsigned cpus)
{
	const uint32_t ids = (1u << id_bits(cpus)) - 1;

	for (uint32_t i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entry[i];
		uint32_t shared = (e->eax >> 5 & 7) >= 3 ? ids : 0;

		if ((e->function != 4 && e->function != 0x8000001d) ||
		    !(e->eax & 0x1f))
			continue;
		e->eax = (e->eax & 0x3fff) | shared << 14;
		if (e->function == 4)
			e->eax |= (ids > 63 ? 63 : ids) << 26;
	}
}

static int set_levels(struct kvm_cpuid_table *t, unsigned cpus)
{
	const struct kvm_cpuid_entry2 level[] = {
		{ .ebx = 1, .ecx = LEVEL_SMT << 8 },
		{ .eax = id_bits(cpus), .ebx = cpus,
		  .ecx = LEVEL_CORE << 8 | 1 },
		{ .ecx = 2 },
	};
	struct kvm_cpuid_entry2 *top = cpuid_find(t, 0, 0);
	int rc = 0;

	drop_leaf(t, 0xb);
	drop_leaf(t, 0x1f);		/* an extension of 0xb */
	if (!top || top->eax < 0xb)
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(level) && !rc; i++) {
		struct kvm_cpuid_entry2 e = level[i];

		e.function = 0xb;
		e.index = i;
		e.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		rc = cpuid_add(t, &e);
	}
	return rc;
}

/* AMD's leaf 0x8000001e, if TOPOEXT announces it */
static int set_extended(struct kvm_cpuid_table *t, enum cpu_vendor vendor)
{
	struct kvm_cpuid_entry2 *top = cpuid_find(t, 0x80000000, 0);
	struct kvm_cpuid_entry2 *e = cpuid_find(t, 0x80000001, 0);

	drop_leaf(t, 0x8000001e);
	drop_leaf(t, 0x80000026);
	if (!e || !(e->ecx & EXT1_ECX_TOPOEXT))
		return 0;
	if (vendor != VENDOR_AMD || !top || top->eax < 0x8000001e) {
		e->ecx &= ~EXT1_ECX_TOPOEXT;
		return 0;
	}
	/* One thread in a core, node 0 of one; cpuid_vcpu() sets the IDs */
	return cpuid_add(t, &(struct kvm_cpuid_entry2){
				.function = 0x8000001e });
}

int cpuid_topology(struct kvm_cpuid_table *t, enum cpu_vendor vendor,
		   unsigned cpus)
{
	int rc;

	set_counts(t, vendor, cpus);
	set_caches(t, cpus);
	rc = set_levels(t, cpus);
	if (!rc)
		rc = set_extended(t, vendor);
	cpuid_vcpu(t, 0);
	return rc;
}

void cpuid_vcpu(struct kvm_cpuid_table *t, unsigned index)
{
	for (uint32_t i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entry[i];

		if (e->function == 1) {
			e->ebx = (e->ebx & 0x00ffffff) | index << 24;
		} else if (e->function == 0xb) {
			e->edx = index;
		} else if (e->function == 0x8000001e) {
			e->eax = index;
			e->ebx = (e->ebx & ~0xffu) | (index & 0xff);
		}
	}
}
