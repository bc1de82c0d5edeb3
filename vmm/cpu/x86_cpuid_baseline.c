// SPDX-License-Identifier: MIT
/*
 * x86_cpuid_baseline.c - The processor that is the same on every host
 *
 * x86-64-v2 (the psABI's level: what every x86 server since 2008 has), and what
 * KVM itself provides everywhere. It has nothing that a host's firmware,
 * microcode or kernel may disable, and no XSAVE: x87 and SSE are saved by
 * FXSAVE, whose area is the same everywhere. Family and model are the oldest of
 * each vendor for which Linux knows the speculation bugs, so that a guest takes
 * every precaution that does not need the host's help. See docs/cpu.md.
 */

#include <string.h>

#include "vmm/base/bytes.h"
#include "x86_cpuid.h"

#define AMD_SIGNATURE	0x00800f12	/* family 0x17, model 1, stepping 2 */
#define INTEL_SIGNATURE	0x000106a3	/* family 6, model 0x1a, stepping 3 */

#define BIT(n)		(1u << (n))

/* pni, ssse3, cx16, sse4_1, sse4_2, x2apic, popcnt, tsc_deadline_timer,
 * hypervisor
 */
#define LEAF1_ECX	(BIT(0) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | \
			 BIT(21) | BIT(23) | BIT(24) | BIT(31))
/* fpu, de, pse, tsc, msr, pae, mce, cx8, apic, sep, mtrr, pge, mca, cmov, pat,
 * pse36, clflush, mmx, fxsr, sse, sse2
 */
#define LEAF1_EDX	(BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | \
			 BIT(6) | BIT(7) | BIT(8) | BIT(9) | BIT(11) | \
			 BIT(12) | BIT(13) | BIT(14) | BIT(15) | BIT(16) | \
			 BIT(17) | BIT(19) | BIT(23) | BIT(24) | BIT(25) | \
			 BIT(26))
#define EXT1_ECX	BIT(0)				/* lahf_lm */
#define EXT1_EDX	(BIT(11) | BIT(20) | BIT(29))	/* syscall, nx, lm */
/* AMD repeats there what leaf 1 has, except sep, clflush, sse, sse2 */
#define EXT1_EDX_AMD	(EXT1_EDX | (LEAF1_EDX & 0x0183f7ff & ~BIT(11)))
/* kvmclock, kvm_nopiodelay, kvmclock2, kvmclock_stable */
#define KVM_FEATURES	(BIT(0) | BIT(1) | BIT(3) | BIT(24))

#define INDEXED		KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static const struct kvm_cpuid_entry2 leaves[] = {
	{ .function = 0x0, .eax = 0xb },
	/* EBX: CLFLUSH of 8 * 8 bytes */
	{ .function = 0x1, .ebx = 0x0800, .ecx = LEAF1_ECX,
	  .edx = LEAF1_EDX },
	{ .function = 0x6, .eax = BIT(2) },		/* arat */
	{ .function = 0x7, .flags = INDEXED },
	{ .function = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b,
	  .ecx = 0x564b4d56, .edx = 0x4d },		/* KVMKVMKVM */
	{ .function = 0x40000001, .eax = KVM_FEATURES },
	{ .function = 0x80000000, .eax = 0x80000008 },
	{ .function = 0x80000001, .ecx = EXT1_ECX, .edx = EXT1_EDX },
	/* L2: 512 KiB, 8 ways, 64 bytes a line; the same for both */
	{ .function = 0x80000006, .ecx = 0x02006140 },
	{ .function = 0x80000007 },
	{ .function = 0x80000008 },
};

/* Intel's description: L1 32 KiB each, L2 512 KiB, 8 ways, 64 bytes a line */
static const struct kvm_cpuid_entry2 intel_leaves[] = {
	{ .function = 0x2, .eax = 0x1, .ebx = 0xff },	/* see leaf 4 */
	{ .function = 0x4, .index = 0, .flags = INDEXED, .eax = 0x121,
	  .ebx = 0x01c0003f, .ecx = 63 },
	{ .function = 0x4, .index = 1, .flags = INDEXED, .eax = 0x122,
	  .ebx = 0x01c0003f, .ecx = 63 },
	{ .function = 0x4, .index = 2, .flags = INDEXED, .eax = 0x143,
	  .ebx = 0x01c0003f, .ecx = 1023 },
	{ .function = 0x4, .index = 3, .flags = INDEXED },
};

/* AMD's description of the same caches */
static const struct kvm_cpuid_entry2 amd_leaves[] = {
	{ .function = 0x80000005, .ecx = 0x20080140, .edx = 0x20080140 },
};

static void add_all(struct kvm_cpuid_table *t,
		    const struct kvm_cpuid_entry2 *e, size_t n)
{
	while (n--)
		cpuid_add(t, e++);
}

static void add_brand(struct kvm_cpuid_table *t, enum cpu_vendor vendor)
{
	static const char *const brand[VENDORS] = {
		[VENDOR_AMD] = "Ferry baseline processor (AMD)",
		[VENDOR_INTEL] = "Ferry baseline processor (Intel)",
	};
	uint32_t word[12] = { 0 };

	memcpy(word, brand[vendor], strlen(brand[vendor]));
	for (unsigned i = 0; i < 3; i++) {
		const uint32_t *w = &word[4 * i];

		cpuid_add(t, &(struct kvm_cpuid_entry2){
			.function = 0x80000002 + i,
			.eax = w[0], .ebx = w[1], .ecx = w[2], .edx = w[3] });
	}
}

#define SMALL_BITS	39	/* physical addresses of small processors */
#define SERVER_BITS	46
#define LINEAR_BITS	48

static uint32_t address_bits(uint64_t end)
{
	return LINEAR_BITS << 8 |
	       (end <= 1ull << SMALL_BITS ? SMALL_BITS : SERVER_BITS);
}

void cpuid_baseline(struct kvm_cpuid_table *t, enum cpu_vendor vendor,
		    uint64_t end)
{
	const bool amd = vendor == VENDOR_AMD;

	*t = (struct kvm_cpuid_table){ 0 };
	add_all(t, leaves, ARRAY_SIZE(leaves));
	if (amd)
		add_all(t, amd_leaves, ARRAY_SIZE(amd_leaves));
	else
		add_all(t, intel_leaves, ARRAY_SIZE(intel_leaves));
	add_brand(t, vendor);

	cpuid_find(t, 1, 0)->eax = amd ? AMD_SIGNATURE : INTEL_SIGNATURE;
	cpuid_find(t, 0x80000008, 0)->eax = address_bits(end);
	if (amd) {
		cpuid_find(t, 0x80000001, 0)->eax = AMD_SIGNATURE;
		cpuid_find(t, 0x80000001, 0)->edx = EXT1_EDX_AMD;
	}
	cpuid_vendor(t, vendor);
}
