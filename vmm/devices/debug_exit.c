// SPDX-License-Identifier: MIT
/*
 * debug_exit.c - A port through which a guest ends the machine
 *
 * Like QEMU's isa-debug-exit, but the process ends with the status that the
 * guest wrote (its low byte), not with twice that plus one.
 */

#include "device.h"
#include "vmm/machine/machine_guest.h"
#include "vmm/machine/machine_private.h"

static void debug_exit_out(struct machine *m, void *dev, unsigned at,
			   unsigned size, uint32_t value)
{
	(void)dev;
	(void)at;
	(void)size;
	machine_guest_exit(m, value & 0xff);
}

const struct device_ops debug_exit_ops = {
	.name = "debug-exit",
	.port = DEBUG_EXIT_PORT,
	.ports = 4,
	.out = debug_exit_out,
};
