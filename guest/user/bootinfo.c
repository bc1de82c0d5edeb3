// SPDX-License-Identifier: MIT
/*
 * bootinfo.c - What a PVH VMM passes: command line, memory map, modules
 *
 * Layouts: Xen's public header arch-x86/hvm/start_info.h, version 1.
 */
#include "../area.h"
#include "../boot.h"
#include "bootinfo.h"

#define START_INFO_MAGIC	0x336ec578
#define MEMMAP_RAM		1
#define FDT_MAGIC_BE		0xedfe0dd0	/* as a little-endian load */
#define BLOCK			(2ULL << 20)
#define HIGH_GPA		(4ULL << 30)

struct start_info {
	uint32_t magic, version, flags, modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct module {
	uint64_t paddr, size, cmdline, reserved;
};

struct memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

static void memmap_add(const struct memmap_entry *e)
{
	uint64_t end = e->addr + e->size;

	if (e->type != MEMMAP_RAM)
		return;
	if (e->addr <= AREA_GPA && end > AREA_GPA) {
		area.low_end = end / BLOCK * BLOCK;
		area.low_pages = (area.low_end - AREA_GPA) >> PAGE_SHIFT;
		area.ram_pages += area.low_pages;
	} else if (e->addr == HIGH_GPA) {
		area.high = HIGH_GPA;
		area.ram_pages += e->size / BLOCK * (BLOCK >> PAGE_SHIFT);
	}
}

static const void *module_find_fdt(const struct start_info *s)
{
	const struct module *m = (const struct module *)s->modlist;
	uint32_t i;

	for (i = 0; i < s->modules; i++) {
		const uint32_t *magic = (const uint32_t *)m[i].paddr;

		if (m[i].size >= 40 && m[i].paddr + m[i].size <= HIGH_GPA &&
		    *magic == FDT_MAGIC_BE)
			return magic;
	}
	return NULL;
}

int boot_info_read(struct boot_info *b)
{
	const struct start_info *s =
		(const struct start_info *)(uint64_t)start_info_gpa;
	const struct memmap_entry *e;
	uint32_t i;

	if (s->magic != START_INFO_MAGIC || s->version < 1)
		return -1;
	e = (const struct memmap_entry *)s->memmap;
	area.high = NO_GPA;
	for (i = 0; i < s->memmap_entries; i++)
		memmap_add(&e[i]);
	b->cmdline = s->cmdline ? (const char *)s->cmdline : "";
	b->fdt = module_find_fdt(s);
	return area.low_pages ? 0 : -1;
}
