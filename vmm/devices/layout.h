/* SPDX-License-Identifier: MIT */
/*
 * layout.h - Every I/O port, MMIO address and interrupt of a machine (x86)
 *
 * The only place that holds these numbers. Devices, the ACPI tables and the
 * machine description read them from here. An interrupt number is at the same
 * time the ISA IRQ and the GSI (KVM's default routing).
 *
 *	port	0x064		keyboard controller, command port
 *	port	0x0f4 - 0x0f7	debug-exit
 *	port	0x3f8 - 0x3ff	serial port, IRQ 4
 *	port	0x505		pvpanic
 *	port	0x600 - 0x608	ACPI fixed hardware (power), IRQ 9
 *	gpa	3 GiB - IOAPIC	window for MMIO devices
 *	gpa	0xfec00000	IOAPIC, emulated by KVM
 *	gpa	0xfee00000	LAPIC, emulated by KVM
 *
 * The PICs and the PIT use their usual PC ports inside KVM.
 */
#ifndef FERRY_LAYOUT_H
#define FERRY_LAYOUT_H

/* I/O ports */
#define KEYBOARD_PORT		0x64
#define DEBUG_EXIT_PORT		0xf4
#define DEBUG_EXIT_PORTS	4
#define SERIAL_PORT		0x3f8
#define SERIAL_PORTS		8
#define PVPANIC_PORT		0x505
#define POWER_PORT		0x600
#define POWER_PORTS		9

/* Registers of the power device, relative to POWER_PORT: ACPI 6.5, 4.8.3 */
#define POWER_EVENT		0	/* PM1a status, then enable: 2 bytes each */
#define POWER_CONTROL		4	/* PM1a control: 2 bytes */
#define POWER_RESET		8	/* reset register: 1 byte */
#define POWER_RESET_VALUE	1	/* written there, it resets the machine */
#define POWER_SLEEP_OFF		5	/* SLP_TYP of S5 */

/* Interrupts; 0 is the PIT's, so that a device with 0 has none */
#define PIT_IRQ			0
#define PIT_GSI			2	/* KVM wires the PIT to IOAPIC pin 2 */
#define SERIAL_IRQ		4
#define POWER_IRQ		9	/* SCI */
#define LAYOUT_IRQS		24	/* pins of the IOAPIC */

/* Guest-physical addresses, in the hole that RAM leaves under 4 GiB */
#define LAYOUT_MMIO_BASE	0xc0000000u
#define LAYOUT_MMIO_END		0xfec00000u
#define IOAPIC_BASE		0xfec00000u
#define LAPIC_BASE		0xfee00000u

#endif /* FERRY_LAYOUT_H */
