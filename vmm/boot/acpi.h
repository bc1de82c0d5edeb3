/* SPDX-License-Identifier: MIT */
/*
 * acpi.h - The ACPI tables, by which a stock kernel finds its devices (pure)
 *
 * RSDP, XSDT, FADT, MADT, DSDT: vCPUs, interrupt routing, power-off, reset,
 * pvpanic. Source: ACPI Specification 6.5, chapter 5 (tables), 4.8 (fixed
 * hardware), 7.4.2 (sleep states).
 */
#ifndef FERRY_ACPI_H
#define FERRY_ACPI_H

#include <stdint.h>

#define ACPI_GPA	0xe0000u	/* in the range that is searched */
#define ACPI_MAX	0x1000u		/* bytes of all tables */

/**
 * acpi_build() - Write all tables
 * @to:		ACPI_MAX bytes, zeroed; the caller copies them to ACPI_GPA
 * @cpus:	number of vCPUs, whose APIC IDs count from 0; at most 64
 */
void acpi_build(uint8_t *to, unsigned cpus);

#endif /* FERRY_ACPI_H */
