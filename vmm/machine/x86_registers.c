// SPDX-License-Identifier: MIT
/* x86_registers.c - x86: a vCPU's registers, for dumps */

#include "vcpu.h"
#include "vmm/cpu/x86_regs.h"
#include "x86_registers.h"

int x86_registers_get(struct machine *m, unsigned index,
		      struct x86_registers *r, struct error *err)
{
	int fd = m->vcpu[index].fd;
	int rc = KVM_CALL(fd, KVM_GET_REGS, &r->regs, err);

	if (!rc)
		rc = KVM_CALL(fd, KVM_GET_SREGS, &r->sregs, err);
	if (kvm_get_msr(fd, MSR_KERNEL_GS_BASE, &r->kernel_gs))
		r->kernel_gs = 0;
	return rc;
}
