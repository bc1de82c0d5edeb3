/* SPDX-License-Identifier: MIT */
/*
 * arch_boot.h - What an architecture provides to vmm/boot/ (private)
 */
#ifndef FERRY_ARCH_BOOT_H
#define FERRY_ARCH_BOOT_H

#include "vmm/base/error.h"

struct image;
struct machine;

/**
 * arch_boot_start() - Put a kernel and what it needs into RAM, vCPU 0 at its
 *		       entry
 * @m:		the machine, with fresh RAM, and vCPUs that never ran or were
 *		reset
 * @kernel:	the kernel
 * @initrd:	its initrd, or NULL
 * @err:	the reason on failure; says what is wrong with the image
 *
 * Return: 0, -ENOEXEC (not a kernel of this architecture), -EFBIG (does not
 *	   fit), -errno
 */
int arch_boot_start(struct machine *m, const struct image *kernel,
		    const struct image *initrd, struct error *err);

#endif /* FERRY_ARCH_BOOT_H */
