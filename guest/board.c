// SPDX-License-Identifier: MIT
/*
 * board.c - The machine's ports for ending, panicking and resetting
 */
#include "board.h"
#include "ports.h"

#define DEBUG_EXIT		0xf4
#define PVPANIC			0x505
#define ACPI_CONTROL		0x604
#define ACPI_SLEEP_ENABLE	0x2000
#define ACPI_SLEEP_OFF		5	/* S5 */
#define ACPI_RESET		0x608
#define ACPI_RESET_VALUE	1
#define KEYBOARD		0x64
#define KEYBOARD_PULSE_RESET	0xfe

void board_exit(enum exit_code code)
{
	port_out32(DEBUG_EXIT, code);
	/* A machine without debug-exit: the status is lost */
	port_out16(ACPI_CONTROL, ACPI_SLEEP_ENABLE | ACPI_SLEEP_OFF << 10);
	for (;;)
		cpu_pause();
}

void board_panic(uint8_t bits)
{
	port_out8(PVPANIC, bits);
}

void board_reset(enum board_reset how)
{
	if (how == RESET_KEYBOARD)
		port_out8(KEYBOARD, KEYBOARD_PULSE_RESET);
	else
		port_out8(ACPI_RESET, ACPI_RESET_VALUE);
}
