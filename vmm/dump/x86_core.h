/* SPDX-License-Identifier: MIT */
/*
 * x86_core.h - x86: registers as notes of a core file (pure)
 *
 * CORE/NT_PRSTATUS for each vCPU, then QEMU/0 (struct QEMUCPUState, version 1)
 * for each vCPU.
 */
#ifndef FERRY_X86_CORE_H
#define FERRY_X86_CORE_H

#include "vmm/base/bytes.h"
#include "vmm/machine/x86_registers.h"

/**
 * x86_core_put() - Append the notes of vCPUs
 * @w:		where to
 * @cpu:	their registers
 * @n:		how many
 */
void x86_core_put(struct writer *w, const struct x86_registers *cpu,
		  unsigned n);

#endif /* FERRY_X86_CORE_H */
