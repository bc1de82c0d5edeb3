// SPDX-License-Identifier: MIT
/*
 * debug_exit.c - A port through which a guest ends the machine
 *
 * Like QEMU's isa-debug-exit, except for the exit status of the process: it is
 * the low byte of what the guest wrote, not twice that plus one. A machine whose
 * device list does not hold this device has no such port.
 */

#include "device.h"
#include "layout.h"

static void debug_exit_write(struct device *d, const struct device_access *a,
			     uint64_t value)
{
	(void)a;
	d->env->guest_exit(d->env->ctx, value & 0xff);
}

static const struct device_place debug_exit_place[] = { {
	.range = { { DEVICE_PORTS, DEBUG_EXIT_PORT, DEBUG_EXIT_PORTS } },
} };

const struct device_ops debug_exit_ops = {
	.name = "debug-exit",
	.compatible = "ferry,debug-exit",
	.version = 1,
	.place = debug_exit_place,
	.places = ARRAY_SIZE(debug_exit_place),
	.write = debug_exit_write,
};
