/* SPDX-License-Identifier: MIT */
/*
 * x86_config.h - The processor of an x86 machine
 *
 * Defines struct arch_config. x86_config.c implements the functions of
 * machine_config.h that depend on the architecture.
 */
#ifndef FERRY_X86_CONFIG_H
#define FERRY_X86_CONFIG_H

#include <stdint.h>

#include "vmm/cpu/x86_mce.h"
#include "vmm/kvm/kvm.h"

/**
 * struct arch_config - The processor that the guest sees
 * @vendor:	whose machine-check format the guest expects
 * @host_id:	CPUID vendor string of the hosts that the guest may run on
 * @tsc_khz:	frequency of the TSC, kHz
 * @cpuid:	the guest's CPUID leaves, as vCPU 0 sees them
 */
struct arch_config {
	enum cpu_vendor vendor;
	char host_id[CPU_VENDOR_ID + 1];
	uint32_t tsc_khz;
	struct kvm_cpuid_table cpuid;
};

#endif /* FERRY_X86_CONFIG_H */
