// SPDX-License-Identifier: MIT
/*
 * x86_core.c - x86: registers as notes of a core file
 *
 * Formats: struct elf_prstatus of Linux; QEMU's struct QEMUCPUState
 * (target/i386/arch_dump.c), by which tools find a guest kernel's page tables.
 */

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "arch_core.h"
#include "elf_core.h"
#include "vmm/machine/machine.h"
#include "x86_core.h"

#define PRSTATUS	336u
#define QEMU_STATE	440u
#define QEMU_VERSION	1u

const uint16_t arch_core_machine = EM_X86_64;

/* struct elf_prstatus: 32 bytes, the pid, 76 bytes, user_regs_struct, 8 */
static void put_prstatus(struct writer *w, const struct x86_registers *c,
			 uint32_t pid)
{
	const struct kvm_regs *r = &c->regs;
	const struct kvm_sregs *s = &c->sregs;
	const uint64_t user[] = {
		r->r15, r->r14, r->r13, r->r12, r->rbp, r->rbx, r->r11,
		r->r10, r->r9, r->r8, r->rax, r->rcx, r->rdx, r->rsi, r->rdi,
		0, r->rip, s->cs.selector, r->rflags, r->rsp, s->ss.selector,
		s->fs.base, s->gs.base, s->ds.selector, s->es.selector,
		s->fs.selector, s->gs.selector,
	};

	core_put_note(w, "CORE", NT_PRSTATUS, PRSTATUS);
	core_put_zeroes(w, 32);
	put_u32(w, pid);
	core_put_zeroes(w, 76);
	for (size_t i = 0; i < ARRAY_SIZE(user); i++)
		put_u64(w, user[i]);
	core_put_zeroes(w, 8);
}

/* Flags have the positions of a descriptor's second half (SDM vol. 3, 3.4.5) */
static void put_segment(struct writer *w, const struct kvm_segment *g)
{
	put_u32(w, g->selector);
	put_u32(w, g->limit);
	put_u32(w, (uint32_t)g->type << 8 | (uint32_t)g->s << 12 |
		   (uint32_t)g->dpl << 13 | (uint32_t)g->present << 15 |
		   (uint32_t)g->avl << 20 | (uint32_t)g->l << 21 |
		   (uint32_t)g->db << 22 | (uint32_t)g->g << 23);
	put_u32(w, 0);
	put_u64(w, g->base);
}

static void put_table(struct writer *w, const struct kvm_dtable *t)
{
	put_u32(w, 0);
	put_u32(w, t->limit);
	put_u64(w, 0);
	put_u64(w, t->base);
}

static void put_qemu(struct writer *w, const struct x86_registers *c)
{
	const struct kvm_regs *r = &c->regs;
	const struct kvm_sregs *s = &c->sregs;
	const uint64_t general[] = {
		r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rsp,
		r->rbp, r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14,
		r->r15, r->rip, r->rflags,
	};
	const struct kvm_segment *const segment[] = {
		&s->cs, &s->ds, &s->es, &s->fs, &s->gs, &s->ss, &s->ldt,
		&s->tr,
	};
	const uint64_t control[] = {
		s->cr0, 0, s->cr2, s->cr3, s->cr4, c->kernel_gs,
	};

	core_put_note(w, "QEMU", 0, QEMU_STATE);
	put_u32(w, QEMU_VERSION);
	put_u32(w, QEMU_STATE);
	for (size_t i = 0; i < ARRAY_SIZE(general); i++)
		put_u64(w, general[i]);
	for (size_t i = 0; i < ARRAY_SIZE(segment); i++)
		put_segment(w, segment[i]);
	put_table(w, &s->gdt);
	put_table(w, &s->idt);
	for (size_t i = 0; i < ARRAY_SIZE(control); i++)
		put_u64(w, control[i]);
}

void x86_core_put(struct writer *w, const struct x86_registers *cpu,
		  unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		put_prstatus(w, &cpu[i], i + 1);
	for (unsigned i = 0; i < n; i++)
		put_qemu(w, &cpu[i]);
}

int arch_core_put(struct machine *m, struct writer *w, struct error *err)
{
	const unsigned cpus = machine_config(m)->cpus;
	struct x86_registers *r = calloc(cpus, sizeof(*r));
	int rc = r ? 0 : error_set(err, ENOMEM, "out of memory");

	for (unsigned i = 0; i < cpus && !rc; i++)
		rc = x86_registers_get(m, i, &r[i], err);
	if (!rc)
		x86_core_put(w, r, cpus);
	free(r);
	return rc;
}

uint64_t arch_core_size(unsigned cpus)
{
	return cpus * (core_note_size(PRSTATUS) + core_note_size(QEMU_STATE));
}
