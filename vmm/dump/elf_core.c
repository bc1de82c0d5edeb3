// SPDX-License-Identifier: MIT
/*
 * elf_core.c - The headers and notes of a guest's memory dump
 *
 * Formats: the System V ABI (ELF64) and its x86-64 supplement; struct
 * elf_prstatus of Linux; QEMU's struct QEMUCPUState (target/i386/arch_dump.c),
 * which tools find a guest kernel's page tables with. More than 65534 program
 * headers are counted in section header 0 (elf(5), PN_XNUM).
 */

#include <elf.h>
#include <string.h>

#include "elf_core.h"

#define EHDR		sizeof(Elf64_Ehdr)
#define PHDR		sizeof(Elf64_Phdr)
#define SHDR		sizeof(Elf64_Shdr)
#define PRSTATUS	336u
#define QEMU_STATE	440u

static void put_zeroes(struct writer *w, size_t n)
{
	while (n--)
		put_u8(w, 0);
}

static void put_note(struct writer *w, const char *name, uint32_t type,
		     uint32_t size)
{
	size_t len = strlen(name) + 1;

	put_u32(w, (uint32_t)len);
	put_u32(w, size);
	put_u32(w, type);
	put_bytes(w, name, len);
	put_zeroes(w, (4 - len % 4) % 4);
}

/* struct elf_prstatus: 32 bytes, the pid, 76 bytes, user_regs_struct, 8 */
static void put_prstatus(struct writer *w, const struct core_cpu *c,
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

	put_note(w, "CORE", NT_PRSTATUS, PRSTATUS);
	put_zeroes(w, 32);
	put_u32(w, pid);
	put_zeroes(w, 76);
	for (size_t i = 0; i < ARRAY_SIZE(user); i++)
		put_u64(w, user[i]);
	put_zeroes(w, 8);
}

/* Flags stand where a descriptor's second half has them (SDM vol. 3, 3.4.5) */
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

static void put_qemu(struct writer *w, const struct core_cpu *c)
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

	put_note(w, "QEMU", 0, QEMU_STATE);
	put_u32(w, 1);
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

void core_put_cpus(struct writer *w, const struct core_cpu *cpu, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		put_prstatus(w, &cpu[i], i + 1);
	for (unsigned i = 0; i < n; i++)
		put_qemu(w, &cpu[i]);
}

void core_put_lost(struct writer *w, const struct core_load *lost, size_t n)
{
	if (!n)
		return;
	put_note(w, "FERRY", NT_FERRY_LOST, (uint32_t)(16 * n));
	for (size_t i = 0; i < n; i++) {
		put_u64(w, lost[i].gpa);
		put_u64(w, lost[i].size);
	}
}

static void put_ehdr(struct writer *w, size_t headers)
{
	static const uint8_t ident[EI_NIDENT] = {
		ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
		EV_CURRENT,
	};
	bool many = headers >= PN_XNUM;

	put_bytes(w, ident, sizeof(ident));
	put_u16(w, ET_CORE);
	put_u16(w, EM_X86_64);
	put_u32(w, EV_CURRENT);
	put_u64(w, 0);				/* e_entry */
	put_u64(w, EHDR);			/* e_phoff */
	put_u64(w, many ? EHDR + headers * PHDR : 0);	/* e_shoff */
	put_u32(w, 0);				/* e_flags */
	put_u16(w, EHDR);
	put_u16(w, PHDR);
	put_u16(w, many ? PN_XNUM : (uint16_t)headers);
	put_u16(w, SHDR);
	put_u16(w, many);			/* e_shnum */
	put_u16(w, 0);				/* e_shstrndx */
}

static void put_phdr(struct writer *w, uint32_t type, uint32_t flags,
		     const struct core_load *l)
{
	put_u32(w, type);
	put_u32(w, flags);
	put_u64(w, l->file);
	put_u64(w, l->gpa);			/* p_vaddr */
	put_u64(w, l->gpa);			/* p_paddr */
	put_u64(w, l->size);			/* p_filesz */
	put_u64(w, type == PT_LOAD ? l->size : 0);	/* p_memsz */
	put_u64(w, 0);				/* p_align */
}

static void put_shdr(struct writer *w, size_t headers)
{
	put_zeroes(w, offsetof(Elf64_Shdr, sh_info));
	put_u32(w, (uint32_t)headers);
	put_zeroes(w, SHDR - offsetof(Elf64_Shdr, sh_addralign));
}

void core_put_file(struct writer *w, const struct core_load *load, size_t n,
		   const struct writer *notes)
{
	const size_t headers = n + 1;
	const bool many = headers >= PN_XNUM;
	struct core_load note = {
		.size = notes->len,
		.file = EHDR + headers * PHDR + (many ? SHDR : 0),
	};

	put_ehdr(w, headers);
	put_phdr(w, PT_NOTE, 0, &note);
	for (size_t i = 0; i < n; i++)
		put_phdr(w, PT_LOAD, PF_R | PF_W | PF_X, &load[i]);
	if (many)
		put_shdr(w, headers);
	put_bytes(w, notes->data, notes->len);
	w->failed |= notes->failed;
}

uint64_t core_room(size_t loads, size_t lost, unsigned cpus)
{
	const uint64_t note = sizeof(Elf64_Nhdr) + 8;
	uint64_t n = EHDR + SHDR + (loads + 1) * PHDR +
		     cpus * (2 * note + PRSTATUS + QEMU_STATE) +
		     note + 16 * lost;

	return (n + 4095) & ~4095ull;
}
