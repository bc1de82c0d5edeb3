// SPDX-License-Identifier: MIT
/*
 * keyboard.c - The reset line of a PC's keyboard controller
 *
 * Linux pulses this line when ACPI's reset register had no effect; older
 * systems know nothing else. The port reads as an idle controller (0), so that
 * no driver waits for it. No keyboard is attached, and the FADT says so.
 */

#include "device.h"
#include "layout.h"

#define PULSE_RESET	0xfe

static void keyboard_write(struct device *d, const struct device_access *a,
			   uint64_t value)
{
	(void)a;
	if ((value & 0xff) == PULSE_RESET)
		d->env->guest_reset(d->env->ctx);
}

static const struct device_place keyboard_place[] = { {
	.range = { { DEVICE_PORTS, KEYBOARD_PORT, 1 } },
} };

const struct device_ops keyboard_ops = {
	.name = "keyboard",
	.compatible = "ferry,keyboard-reset",
	.version = 1,
	.place = keyboard_place,
	.places = ARRAY_SIZE(keyboard_place),
	.write = keyboard_write,
};
