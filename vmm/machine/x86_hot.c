// SPDX-License-Identifier: MIT
/*
 * x86_hot.c - x86: the pages that a vCPU touches first when it continues
 *
 * Walks the page tables itself instead of using KVM_TRANSLATE, because the
 * tables are among those pages. Formats: SDM vol. 3, "4-Level Paging and
 * 5-Level Paging".
 */

#include <stdbool.h>
#include <sys/ioctl.h>

#include "arch.h"
#include "hot.h"
#include "vcpu.h"
#include "vmm/base/page.h"
#include "vmm/cpu/x86_regs.h"

#define PTE_PRESENT	1ull
#define PTE_LARGE	(1ull << 7)
#define PTE_ADDR	0x000ffffffffff000ull
#define PT_ENTRIES	512u
#define PT_BITS		9

/* Add the tables that lead to a linear address, and its page */
static void add_linear(struct hot_list *l, const struct kvm_sregs *s,
		       uint64_t linear)
{
	int level = s->cr4 & CR4_LA57 ? 5 : 4;
	uint64_t entry = s->cr3;

	if (!(s->cr0 & CR0_PG)) {
		hot_list_add(l, linear);
		return;
	}
	if (!(s->efer & EFER_LMA))
		return;		/* 32-bit paging: guests leave it early */
	for (; level; level--) {
		uint64_t table = entry & PTE_ADDR;
		unsigned shift = GUEST_PAGE_SHIFT +
				 PT_BITS * (unsigned)(level - 1);

		hot_list_add(l, table);
		if (ram_read(&l->m->ram, table +
			     (linear >> shift) % PT_ENTRIES * sizeof(entry),
			     &entry, sizeof(entry)) || !(entry & PTE_PRESENT))
			return;
		if (level > 1 && level < 4 && (entry & PTE_LARGE)) {
			uint64_t in = (1ull << shift) - 1;

			hot_list_add(l, (entry & PTE_ADDR & ~in) |
					(linear & in));
			return;
		}
	}
	hot_list_add(l, entry & PTE_ADDR);
}

static void add_clock(struct hot_list *l, struct vcpu *v)
{
	uint64_t msr;

	if (!kvm_get_msr(v->fd, MSR_KVM_SYSTEM_TIME, &msr) && (msr & 1))
		hot_list_add(l, msr & ~1ull);
}

void arch_vcpu_hot_pages(struct vcpu *v, struct hot_list *l)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	if (ioctl(v->fd, KVM_GET_SREGS, &s) ||
	    ioctl(v->fd, KVM_GET_REGS, &r))
		return;
	add_linear(l, &s, s.cs.base + r.rip);
	add_linear(l, &s, r.rsp);
	add_linear(l, &s, s.idt.base);
	add_linear(l, &s, s.gdt.base);
	add_linear(l, &s, s.tr.base);
	add_clock(l, v);
}
