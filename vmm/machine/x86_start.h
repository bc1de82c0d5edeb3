/* SPDX-License-Identifier: MIT */
/*
 * x86_start.h - x86: vCPU 0's registers at the entry of a kernel
 */
#ifndef FERRY_X86_START_H
#define FERRY_X86_START_H

#include <stdint.h>

#include "vmm/base/error.h"

struct machine;

/**
 * x86_start_pvh() - Set the registers that a PVH guest starts with
 * @m:		the machine, not running
 * @entry:	guest-physical address to start at
 * @info:	guest-physical address of struct hvm_start_info
 * @err:	the reason on failure
 *
 * Source: Xen's docs/misc/pvh.pandoc.
 *
 * Return: 0, -errno
 */
int x86_start_pvh(struct machine *m, uint32_t entry, uint32_t info,
		  struct error *err);

/**
 * struct x86_long_start - A start in long mode; guest-physical addresses
 * @entry:	first instruction
 * @info:	value of RSI
 * @page_table:	PML4, which maps everything named here onto itself
 * @gdt:	four descriptors, with code at 0x10 and data at 0x18
 */
struct x86_long_start {
	uint64_t entry, info, page_table, gdt;
};

/**
 * x86_start_long() - Set the registers of a bzImage's 64-bit entry
 * @m:		the machine, not running
 * @start:	the addresses
 * @err:	the reason on failure
 *
 * Source: the kernel's Documentation/arch/x86/boot.rst.
 *
 * Return: 0, -errno
 */
int x86_start_long(struct machine *m, const struct x86_long_start *start,
		   struct error *err);

#endif /* FERRY_X86_START_H */
