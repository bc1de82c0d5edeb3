/* SPDX-License-Identifier: MIT */
/*
 * x86_arch.h - x86: what arch.h asks of an architecture, and what its files
 * share (private)
 */
#ifndef FERRY_X86_ARCH_H
#define FERRY_X86_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/error.h"
#include "vmm/kvm/kvm.h"

struct vcpu;

/**
 * struct arch_machine - The x86 part of a machine
 * @msr:	MSRs that are state of a vCPU
 * @msrs:	how many
 * @tsc_scaled:	the TSC runs at another frequency than the host's
 * @tsc_shifts:	loading state moves each vCPU's TSC offset by @tsc_shift
 *		(x86_clock.h)
 */
struct arch_machine {
	uint32_t *msr;
	unsigned msrs;
	bool tsc_scaled;
	bool tsc_shifts;
	uint64_t tsc_shift;
};

/** struct arch_undo - What a read may change, as KVM has it */
struct arch_undo {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
};

/**
 * x86_msr_probe() - Drop from arch_machine.msr what is no state of a vCPU
 * @v:		the first vCPU, which has its CPUID
 */
void x86_msr_probe(struct vcpu *v);

/**
 * x86_apf_take() - Before a reset: have a vCPU take what KVM asked it to do
 * @v:		the vCPU, parked, for which no page is missing
 * @err:	the reason on failure
 *
 * See x86_vcpu_apf.c. The guest does not run.
 *
 * Return: 0, -errno
 */
int x86_apf_take(struct vcpu *v, struct error *err);

/**
 * x86_apf_wake() - After a reset: end the halt in which KVM keeps a vCPU
 * @v:		the vCPU, parked; nothing happens unless it is vCPU 0
 * @err:	the reason on failure
 *
 * At most one HLT of the guest ends at once, which is permitted.
 *
 * Return: 0, -errno
 */
int x86_apf_wake(struct vcpu *v, struct error *err);

#endif /* FERRY_X86_ARCH_H */
