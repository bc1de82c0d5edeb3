/* SPDX-License-Identifier: MIT */
/*
 * x86_boot.h - x86: what the two ways to boot share (private)
 *
 * x86_boot.c chooses one of x86_boot_pvh.c and x86_boot_linux.c. Beside the
 * kernel they put into low memory:
 *
 *	0x6000	GDT, 0x7000 zero page, 0x9000 page tables	bzImage
 *	0x90000	start info, module list, memory map		PVH
 *	0x91000	command line					both
 *	0x92000	flattened device tree				PVH
 *	0xe0000	ACPI tables, where firmware has them		both
 */
#ifndef FERRY_X86_BOOT_H
#define FERRY_X86_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "boot_image.h"

struct machine;
struct ram;

#define BOOT_CMDLINE_GPA	0x91000
#define BOOT_LOW_END		0x9fc00	/* where firmware has its data */
#define BOOT_MEMMAP_MAX		4
#define BOOT_INITRD_TOP		0x7fffffffu

/* As PVH has it; the types are those of BIOS's E820 */
struct boot_memmap {
	uint64_t gpa, size;
	uint32_t type, reserved;
};

/** struct boot_initrd - Where the initrd is; all zero for none */
struct boot_initrd {
	uint64_t gpa, size;
};

/**
 * boot_memmap() - The memory map of a guest
 * @ram:	the RAM
 * @map:	BOOT_MEMMAP_MAX entries, filled in
 *
 * Return: number of entries
 */
unsigned boot_memmap(const struct ram *ram, struct boot_memmap *map);

/**
 * boot_place_initrd() - Put the initrd into RAM, at the highest address allowed
 * @m:		the machine, with the kernel in its RAM
 * @im:		the initrd; NULL for none
 * @kernel_end:	first address after what the kernel needs in low RAM
 * @top:	highest address that any byte of it may have
 * @rd:		filled in
 * @err:	the reason on failure
 *
 * Return: 0, -EFBIG, -errno
 */
int boot_place_initrd(struct machine *m, const struct image *im,
		      uint64_t kernel_end, uint64_t top,
		      struct boot_initrd *rd, struct error *err);

/** boot_is_elf() - Is this an ELF file? */
bool boot_is_elf(const struct image *im);

/** boot_is_linux() - Is this a bzImage? */
bool boot_is_linux(const struct image *im);

/**
 * boot_pvh() - Load an ELF file with a PVH note, and set vCPU 0 to its entry
 * @m:		the machine; command line and ACPI tables are written
 * @im:		the kernel
 * @initrd:	or NULL
 * @err:	the reason on failure; says what is wrong with the file
 *
 * Return: 0, -ENOEXEC, -EFBIG (does not fit), -errno
 */
int boot_pvh(struct machine *m, const struct image *im,
	     const struct image *initrd, struct error *err);

/** boot_linux() - The same for a bzImage, by the 64-bit boot protocol */
int boot_linux(struct machine *m, const struct image *im,
	       const struct image *initrd, struct error *err);

#endif /* FERRY_X86_BOOT_H */
