/* SPDX-License-Identifier: MIT */
/*
 * acpi.h - The tables in which a stock kernel finds its machine (pure)
 *
 * RSDP, XSDT, FADT, MADT, DSDT: vCPUs, interrupt routing, how to power off and reset, pvpanic.
 * Source: ACPI Specification 6.5, chapter 5 (tables), 4.8 (fixed hardware), 7.4.2 (sleep states).
 */
#ifndef FERRY_ACPI_H
#define FERRY_ACPI_H

#include <stdint.h>

#define ACPI_GPA	0xe0000u	/* within what a kernel searches */
#define ACPI_MAX	0x1000u		/* bytes of all tables */

/**
 * acpi_build() - Write all tables
 * @to:		ACPI_MAX bytes, zeroed; what is to be at ACPI_GPA
 * @cpus:	number of vCPUs, whose APIC IDs count from 0; at most 64
 */
void acpi_build(uint8_t *to, unsigned cpus);

#endif /* FERRY_ACPI_H */
