/* SPDX-License-Identifier: MIT */
/*
 * boot.h - Load a guest's kernel
 *
 * Two kinds of file can be started, as with QEMU's -kernel:
 *
 * - a 64-bit ELF file with Xen's note of type 18 (XEN_ELFNOTE_PHYS32_ENTRY),
 *   entered in 32-bit protected mode with a struct hvm_start_info. Source:
 *   Xen's docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h;
 * - a Linux bzImage, entered in long mode with a zero page. Source: the
 *   kernel's Documentation/arch/x86/boot.rst and zero-page.rst.
 *
 * Both get a command line, an initrd if there is one, and ACPI tables (acpi.h).
 *
 * The machine keeps both files as its images (machine_images.h). boot_attach()
 * registers the function that a reset starts the guest with.
 */
#ifndef FERRY_BOOT_H
#define FERRY_BOOT_H

#include "vmm/base/error.h"

struct machine;

/**
 * boot_load() - Read a kernel and start the machine from it
 * @m:		the machine, never run
 * @kernel:	path of the kernel
 * @initrd:	path of its initrd; NULL for none
 * @err:	the reason on failure; says what is wrong with the file
 *
 * Also calls boot_attach(). A reset starts from the files as they are now.
 *
 * Return: 0, -ENOEXEC (not such a file), -EFBIG (does not fit), -errno
 */
int boot_load(struct machine *m, const char *kernel, const char *initrd,
	      struct error *err);

/**
 * boot_attach() - Register with a machine the function that restarts it
 * @m:		the machine
 *
 * For a machine whose images come from a migration.
 */
void boot_attach(struct machine *m);

#endif /* FERRY_BOOT_H */
