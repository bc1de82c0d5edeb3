// SPDX-License-Identifier: MIT
/*
 * keyboard.c - Of a PC's keyboard controller, the line that resets it
 *
 * Linux pulls it when ACPI's reset register did nothing, and it is what older
 * systems know. The port reads as a controller that is idle (0), so that nobody
 * waits for it. There is no keyboard behind it, and the FADT says so.
 */

#include "device.h"
#include "vmm/machine/machine_guest.h"
#include "vmm/machine/machine_private.h"

#define PULSE_RESET	0xfe

static void keyboard_out(struct machine *m, void *dev, unsigned at,
			 unsigned size, uint32_t value)
{
	(void)dev;
	(void)at;
	(void)size;
	if ((value & 0xff) == PULSE_RESET)
		machine_guest_reset(m);
}

const struct device_ops keyboard_ops = {
	.name = "keyboard",
	.port = KEYBOARD_PORT,
	.ports = 1,
	.out = keyboard_out,
};
