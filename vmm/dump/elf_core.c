// SPDX-License-Identifier: MIT
/*
 * elf_core.c - The headers and notes of a guest's memory dump
 *
 * Formats: the System V ABI (ELF64) and its processor supplements. More than
 * 65534 program headers are counted in section header 0 (elf(5), PN_XNUM).
 */

#include <elf.h>
#include <string.h>

#include "arch_core.h"
#include "elf_core.h"
#include "vmm/base/page.h"

#define EHDR		sizeof(Elf64_Ehdr)
#define PHDR		sizeof(Elf64_Phdr)
#define SHDR		sizeof(Elf64_Shdr)

void core_put_zeroes(struct writer *w, size_t n)
{
	while (n--)
		put_u8(w, 0);
}

void core_put_note(struct writer *w, const char *name, uint32_t type,
		     uint32_t size)
{
	size_t len = strlen(name) + 1;

	put_u32(w, (uint32_t)len);
	put_u32(w, size);
	put_u32(w, type);
	put_bytes(w, name, len);
	core_put_zeroes(w, (4 - len % 4) % 4);
}

void core_put_lost(struct writer *w, const struct core_load *lost, size_t n)
{
	if (!n)
		return;
	core_put_note(w, "FERRY", NT_FERRY_LOST, (uint32_t)(16 * n));
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
	put_u16(w, arch_core_machine);
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
	core_put_zeroes(w, offsetof(Elf64_Shdr, sh_info));
	put_u32(w, (uint32_t)headers);
	core_put_zeroes(w, SHDR - offsetof(Elf64_Shdr, sh_addralign));
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

uint64_t core_note_size(size_t bytes)
{
	/* The names here take two words: "CORE", "QEMU", "FERRY" */
	return sizeof(Elf64_Nhdr) + 8 + bytes;
}

uint64_t core_room(size_t loads, size_t lost, uint64_t cpu_notes)
{
	return page_up(EHDR + SHDR + (loads + 1) * PHDR + cpu_notes +
		       core_note_size(16 * lost));
}
