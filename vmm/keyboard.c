// SPDX-License-Identifier: MIT
/*
 * keyboard.c - Of a PC's keyboard controller, the line that resets it
 *
 * Linux pulls it when ACPI's reset register did nothing, and it is what older
 * systems know. The port reads as a controller that is idle, so that nobody
 * waits for it. There is no keyboard behind it, and the FADT says so.
 */

#include "device.h"
#include "machine.h"

#define PULSE_RESET	0xfe

struct keyboard {
	struct machine *m;
};

static void keyboard_init(struct machine *m, void *dev)
{
	((struct keyboard *)dev)->m = m;
}

static void keyboard_out(void *dev, unsigned at, unsigned size,
			 uint32_t value)
{
	(void)at;
	(void)size;
	if ((value & 0xff) == PULSE_RESET)
		machine_guest_reset(((struct keyboard *)dev)->m);
}

static uint32_t keyboard_in(void *dev, unsigned at, unsigned size)
{
	(void)dev;
	(void)at;
	(void)size;
	return 0;
}

static int keyboard_save(struct machine *m, void *dev, struct writer *w,
			 struct error *err)
{
	(void)m;
	(void)dev;
	(void)w;
	(void)err;
	return 0;
}

static int keyboard_load(struct machine *m, void *dev, struct reader *r,
			 struct error *err)
{
	(void)m;
	(void)dev;
	(void)r;
	(void)err;
	return 0;
}

const struct device_ops keyboard_ops = {
	.name = "keyboard",
	.size = sizeof(struct keyboard),
	.port = KEYBOARD_PORT,
	.ports = 1,
	.init = keyboard_init,
	.out = keyboard_out,
	.in = keyboard_in,
	.save = keyboard_save,
	.load = keyboard_load,
};
