// SPDX-License-Identifier: MIT
/*
 * pvpanic.c - The port through which a guest reports that its kernel panicked
 *
 * A read returns the bits that are supported here; other bits of a write are
 * ignored. A panic pauses the machine, as in a QEMU that libvirt started. That
 * the guest has panicked is state of the machine, not of this device.
 *
 * Source: QEMU's docs/specs/pvpanic.rst, the ISA interface. A stock Linux finds
 * the port through the ACPI device QEMU0001, with its module pvpanic-mmio.
 */

#include "device.h"
#include "layout.h"

#define PVPANIC_PANICKED	0x01	/* the host handles the panic */
#define PVPANIC_CRASH_LOADED	0x02	/* the guest handles it: kdump */

/* Both bits at once mean the first one, as in QEMU */
static void pvpanic_write(struct device *d, const struct device_access *a,
			  uint64_t value)
{
	(void)a;
	if (value & PVPANIC_PANICKED)
		d->env->guest_panicked(d->env->ctx);
	else if (value & PVPANIC_CRASH_LOADED)
		d->env->guest_crash_loaded(d->env->ctx);
}

static uint64_t pvpanic_read(struct device *d, const struct device_access *a)
{
	(void)d;
	(void)a;
	return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static const struct device_place pvpanic_place[] = { {
	.range = { { DEVICE_PORTS, PVPANIC_PORT, 1 } },
} };

const struct device_ops pvpanic_ops = {
	.name = "pvpanic",
	.compatible = "qemu,pvpanic-isa",
	.version = 1,
	.place = pvpanic_place,
	.places = ARRAY_SIZE(pvpanic_place),
	.read = pvpanic_read,
	.write = pvpanic_write,
};
