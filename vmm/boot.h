/* SPDX-License-Identifier: MIT */
/*
 * boot.h - Load a guest that starts by PVH
 *
 * A 64 bit ELF file with Xen's note of type 18 (XEN_ELFNOTE_PHYS32_ENTRY) is entered in 32 bit protected
 * mode with a struct hvm_start_info: QEMU's -kernel starts the same files.
 * Source: Xen's docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h.
 *
 *	0x90000	struct hvm_start_info, its module list and memory map
 *	0x91000	command line
 *	0x92000	flattened device tree, as the one module
 */
#ifndef FERRY_BOOT_H
#define FERRY_BOOT_H

#include "error.h"

struct machine;

/**
 * boot_load() - Put a kernel and what it needs into RAM, and vCPU 0 at its start
 * @m:		the machine, never run
 * @path:	of the ELF file
 * @err:	why not, naming what in the file is wrong
 *
 * Return: 0, -ENOEXEC (not such a file), -EFBIG (does not fit), -errno
 */
int boot_load(struct machine *m, const char *path, struct error *err);

#endif /* FERRY_BOOT_H */
