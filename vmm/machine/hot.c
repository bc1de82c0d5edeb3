// SPDX-License-Identifier: MIT
/*
 * hot.c - The memory that vCPUs touch first when they go on
 *
 * Page tables are walked here, not by KVM_TRANSLATE, because the tables are
 * what is wanted. Formats: SDM vol. 3, "4-Level Paging and 5-Level Paging".
 */

#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hot.h"
#include "machine.h"
#include "vcpu.h"

#define CR0_PG		(1ull << 31)
#define CR4_LA57	(1ull << 12)
#define EFER_LMA	(1ull << 10)
#define PTE_PRESENT	1ull
#define PTE_LARGE	(1ull << 7)
#define PTE_ADDR	0x000ffffffffff000ull
#define PAGE_OF(a)	((a) & ~0xfffull)

#define MSR_KVM_SYSTEM_TIME	0x4b564d01

struct list {
	struct machine *m;
	uint64_t *gpa;
	size_t n, max;
};

static void add(struct list *l, uint64_t gpa)
{
	uint64_t offset;

	if (l->n < l->max && ram_offset(&l->m->ram, PAGE_OF(gpa), 4096,
					&offset))
		l->gpa[l->n++] = PAGE_OF(gpa);
}

/* Add the tables that lead to a linear address, and its page */
static void add_linear(struct list *l, const struct kvm_sregs *s,
		       uint64_t linear)
{
	int level = s->cr4 & CR4_LA57 ? 5 : 4;
	uint64_t entry = s->cr3;

	if (!(s->cr0 & CR0_PG)) {
		add(l, linear);
		return;
	}
	if (!(s->efer & EFER_LMA))
		return;		/* 32 bit paging: no guest here stays in it */
	for (; level; level--) {
		uint64_t table = entry & PTE_ADDR;
		unsigned shift = 12 + 9 * (unsigned)(level - 1);

		add(l, table);
		if (ram_read(&l->m->ram, table + (linear >> shift & 511) * 8,
			     &entry, 8) || !(entry & PTE_PRESENT))
			return;
		if (level > 1 && level < 4 && (entry & PTE_LARGE)) {
			uint64_t in = (1ull << shift) - 1;

			add(l, (entry & PTE_ADDR & ~in) | (linear & in));
			return;
		}
	}
	add(l, entry & PTE_ADDR);
}

static void add_clock(struct list *l, struct vcpu *v)
{
	uint64_t msr;

	if (!kvm_get_msr(v->fd, MSR_KVM_SYSTEM_TIME, &msr) && (msr & 1))
		add(l, msr & ~1ull);
}

static void add_vcpu(struct list *l, struct vcpu *v)
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

size_t hot_pages(struct machine *m, uint64_t *gpa, size_t max)
{
	struct list l = { .m = m, .gpa = gpa, .max = max };

	for (unsigned i = 0; i < m->cfg.cpus; i++)
		add_vcpu(&l, &m->vcpu[i]);
	return l.n;
}
