/* SPDX-License-Identifier: MIT */
/*
 * bootinfo.h - What a PVH VMM passes: command line, memory map, modules
 */
#ifndef GUEST_USER_BOOTINFO_H
#define GUEST_USER_BOOTINFO_H

/**
 * struct boot_info - What the VMM passed
 * @cmdline:	command line, "" when there is none
 * @fdt:	flattened device tree, or NULL
 */
struct boot_info {
	const char *cmdline;
	const void *fdt;
};

/**
 * boot_info_read() - Read struct hvm_start_info; fills in struct area, too
 * @b:		filled in
 *
 * Return: 0, -1 when it is not that structure, or lists no usable memory
 */
int boot_info_read(struct boot_info *b);

#endif
