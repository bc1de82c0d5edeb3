// SPDX-License-Identifier: MIT
/*
 * pvpanic.c - The port at which a guest says that its kernel has panicked
 *
 * A read gives the bits that are understood here; of what is written, the
 * others are ignored. A panic pauses the machine, as in a QEMU that libvirt
 * started. That it has panicked is state, so that a guest that is moved then
 * doesn't run where it arrives.
 */

#include <errno.h>

#include "device.h"
#include "pvpanic.h"
#include "vmm/machine/machine_guest.h"
#include "vmm/machine/machine_private.h"

/* Both at once is the first: as in QEMU, the host deals with it */
static void pvpanic_out(struct machine *m, void *dev, unsigned at,
			unsigned size, uint32_t value)
{
	(void)dev;
	(void)at;
	(void)size;
	if (value & PVPANIC_PANICKED)
		machine_guest_panicked(m);
	else if (value & PVPANIC_CRASH_LOADED)
		machine_guest_crash_loaded(m);
}

static uint32_t pvpanic_in(struct machine *m, void *dev, unsigned at,
			   unsigned size)
{
	(void)m;
	(void)dev;
	(void)at;
	(void)size;
	return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static int pvpanic_save(struct machine *m, void *dev, struct writer *w,
			struct error *err)
{
	(void)dev;
	(void)err;
	put_u8(w, machine_panicked(m));
	return 0;
}

static int pvpanic_load(struct machine *m, void *dev, struct reader *r,
			struct error *err)
{
	uint8_t panicked = get_u8(r);

	(void)dev;
	if (panicked > 1)
		return error_set(err, EBADMSG, "pvpanic: %u is no yes or no",
				 panicked);
	machine_set_panicked(m, panicked);
	return 0;
}

const struct device_ops pvpanic_ops = {
	.name = "pvpanic",
	.port = PVPANIC_PORT,
	.ports = 1,
	.out = pvpanic_out,
	.in = pvpanic_in,
	.save = pvpanic_save,
	.load = pvpanic_load,
};
