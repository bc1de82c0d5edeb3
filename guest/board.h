/* SPDX-License-Identifier: MIT */
/*
 * board.h - The machine's ports for ending, panicking and resetting
 */
#ifndef GUEST_BOARD_H
#define GUEST_BOARD_H

#include <stdint.h>

/**
 * enum exit_code - Why the guest ends
 * @EXIT_CLEAN:		no fault found
 * @EXIT_UNCLEAN:	the verdict is not clean
 * @EXIT_USAGE:		bad boot arguments, or an unsuitable machine
 * @EXIT_MCE:		a machine check that can't be handled
 * @EXIT_TRAP:		any other exception
 */
enum exit_code { EXIT_CLEAN, EXIT_UNCLEAN, EXIT_USAGE, EXIT_MCE, EXIT_TRAP };

enum { PANIC_PANICKED = 1, PANIC_CRASH_LOADED = 2 };

enum board_reset { RESET_ACPI, RESET_KEYBOARD };

/**
 * board_exit() - End the guest through the debug-exit port
 * @code:	Ferry's exit status; QEMU's is 2 * @code + 1
 *
 * On a machine without such a port the vCPU spins.
 */
void board_exit(enum exit_code code) __attribute__((noreturn));

/**
 * board_panic() - Notify the host of a panic through pvpanic
 * @bits:	PANIC_...
 *
 * Returns when the host resumes the guest.
 */
void board_panic(uint8_t bits);

/**
 * board_reset() - Reset the machine
 * @how:	register to use
 *
 * Returns on a machine without that register.
 */
void board_reset(enum board_reset how);

#endif
