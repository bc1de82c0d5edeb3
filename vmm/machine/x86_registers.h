/* SPDX-License-Identifier: MIT */
/*
 * x86_registers.h - x86: a vCPU's registers, for dumps
 */
#ifndef FERRY_X86_REGISTERS_H
#define FERRY_X86_REGISTERS_H

#include <stdint.h>

#include "vmm/base/error.h"
#include "vmm/kvm/kvm.h"

struct machine;

/**
 * struct x86_registers - The registers of a vCPU
 * @regs, @sregs: as KVM has them
 * @kernel_gs:	MSR_KERNEL_GS_BASE
 */
struct x86_registers {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	uint64_t kernel_gs;
};

/**
 * x86_registers_get() - Read the registers of a vCPU
 * @m:		the machine, paused
 * @index:	number of the vCPU
 * @r:		filled in
 * @err:	the reason on failure
 *
 * Return: 0, -errno
 */
int x86_registers_get(struct machine *m, unsigned index,
		      struct x86_registers *r, struct error *err);

#endif /* FERRY_X86_REGISTERS_H */
