/* SPDX-License-Identifier: MIT */
/*
 * x86_config.h - The processor of an x86 machine
 *
 * Defines struct arch_config. x86_config.c implements the functions of
 * machine_config.h that depend on the architecture.
 */
#ifndef FERRY_X86_CONFIG_H
#define FERRY_X86_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/cpu/x86_mce.h"
#include "vmm/kvm/kvm.h"

/**
 * struct arch_config - The processor that the guest sees
 * @vendor:	whose machine-check format the guest expects
 * @host_id:	CPUID vendor string of the hosts that the guest may run on
 * @tsc_khz:	frequency of the TSC, kHz
 * @tsc_scaling: this host can run the TSC at other frequencies; not part of the
 *		description
 * @arch_capabilities: IA32_ARCH_CAPABILITIES that the guest sees; 0 without
 * @perf_capabilities: IA32_PERF_CAPABILITIES, likewise
 * @cpuid:	the guest's CPUID leaves, as vCPU 0 sees them
 */
struct arch_config {
	enum cpu_vendor vendor;
	char host_id[CPU_VENDOR_ID + 1];
	uint32_t tsc_khz;
	bool tsc_scaling;
	uint64_t arch_capabilities, perf_capabilities;
	struct kvm_cpuid_table cpuid;
};

/* KVM treats TSC frequencies within 250 ppm as the same (a 4000th) */
#define TSC_TOLERANCE	4000

/**
 * x86_config_same_tsc() - Is one TSC frequency as good as another?
 * @a, @b:	kHz
 */
static inline bool x86_config_same_tsc(uint32_t a, uint32_t b)
{
	return (a > b ? a - b : b - a) <= a / TSC_TOLERANCE;
}

#endif /* FERRY_X86_CONFIG_H */
