/* SPDX-License-Identifier: MIT */
/*
 * boot.h - Load a guest's kernel
 *
 * Two kinds of file can be started, as with QEMU's -kernel:
 *
 * - a 64-bit ELF file with Xen's note of type 18 (XEN_ELFNOTE_PHYS32_ENTRY), entered in
 *   32-bit protected mode with a struct hvm_start_info. Source: Xen's
 *   docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h;
 * - a Linux bzImage, entered in long mode with a zero page. Source: the
 *   kernel's Documentation/arch/x86/boot.rst and zero-page.rst.
 *
 * Both get a command line, an initrd if there is one, and ACPI tables (acpi.h).
 */
#ifndef FERRY_BOOT_H
#define FERRY_BOOT_H

#include <stdbool.h>

#include "vmm/base/error.h"

struct machine;

/**
 * boot_load() - Read a kernel, and start the machine from it
 * @m:		the machine, never run
 * @kernel:	path of the kernel
 * @initrd:	path of its initrd; NULL for none
 * @err:	why not, naming what in the file is wrong
 *
 * The files are kept in memory: a reset starts from them, as they are now.
 *
 * Return: 0, -ENOEXEC (not such a file), -EFBIG (does not fit), -errno
 */
int boot_load(struct machine *m, const char *kernel, const char *initrd,
	      struct error *err);

/** boot_can_start() - Are there images to start the machine from? */
bool boot_can_start(const struct machine *m);

/**
 * boot_start() - Put the kernel and what it needs into RAM, and vCPU 0 at its start
 * @m:		the machine, with fresh RAM, and vCPUs that never ran or were reset
 * @err:	why not, naming what in the image is wrong
 *
 * Return: as boot_load(), -ENODATA (there is no kernel)
 */
int boot_start(struct machine *m, struct error *err);

#endif /* FERRY_BOOT_H */
