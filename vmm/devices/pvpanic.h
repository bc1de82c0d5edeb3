/* SPDX-License-Identifier: MIT */
/*
 * pvpanic.h - The port at which a guest says that its kernel has panicked
 *
 * Source: QEMU's docs/specs/pvpanic.rst, the ISA interface. A stock Linux finds
 * it by the ACPI device QEMU0001 (acpi.c), with its module pvpanic-mmio.
 */
#ifndef FERRY_PVPANIC_H
#define FERRY_PVPANIC_H

#define PVPANIC_PORT		0x505
#define PVPANIC_PANICKED	0x01	/* the host is to deal with it */
#define PVPANIC_CRASH_LOADED	0x02	/* the guest deals with it: kdump */

#endif /* FERRY_PVPANIC_H */
