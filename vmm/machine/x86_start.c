// SPDX-License-Identifier: MIT
/* x86_start.c - x86: vCPU 0's registers at the entry of a kernel */

#include "vcpu.h"
#include "vmm/cpu/x86_regs.h"
#include "x86_start.h"

int x86_start_pvh(struct machine *m, uint32_t entry, uint32_t info,
		  struct error *err)
{
	/* Xen's PVH start: 32 bit, flat, protected, no paging, ebx = info */
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 8, .type = 0xb,
		.present = 1, .db = 1, .s = 1, .g = 1,
	};
	struct kvm_segment data = code;
	struct kvm_segment tss = { .limit = 0x67, .type = 0xb, .present = 1 };
	struct kvm_regs regs = {
		.rip = entry, .rbx = info, .rflags = RFLAGS_FIXED,
	};
	struct kvm_sregs s;
	int rc;

	rc = KVM_CALL(m->vcpu[0].fd, KVM_GET_SREGS, &s, err);
	if (rc)
		return rc;
	data.type = 3;
	data.selector = 16;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.tr = tss;
	s.cr0 = CR0_PE | CR0_ET;
	s.cr4 = s.efer = 0;
	rc = KVM_CALL(m->vcpu[0].fd, KVM_SET_SREGS, &s, err);
	return rc ? rc : KVM_CALL(m->vcpu[0].fd, KVM_SET_REGS, &regs, err);
}

int x86_start_long(struct machine *m, const struct x86_long_start *start,
		   struct error *err)
{
	const struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 0x10, .type = 0xb,
		.present = 1, .l = 1, .s = 1, .g = 1,
	};
	const struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 0x18, .type = 3,
		.present = 1, .db = 1, .s = 1, .g = 1,
	};
	struct kvm_regs regs = {
		.rip = start->entry, .rsi = start->info, .rflags = RFLAGS_FIXED,
	};
	struct kvm_sregs s;
	int rc;

	rc = KVM_CALL(m->vcpu[0].fd, KVM_GET_SREGS, &s, err);
	if (rc)
		return rc;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.tr = (struct kvm_segment){ .limit = 0x67, .type = 0xb,
				     .present = 1 };
	s.gdt.base = start->gdt;
	s.gdt.limit = 4 * 8 - 1;
	s.cr3 = start->page_table;
	s.cr4 = CR4_PAE;
	s.efer = EFER_LME | EFER_LMA;
	s.cr0 = CR0_PE | CR0_ET | CR0_PG;
	rc = KVM_CALL(m->vcpu[0].fd, KVM_SET_SREGS, &s, err);
	return rc ? rc : KVM_CALL(m->vcpu[0].fd, KVM_SET_REGS, &regs, err);
}
