// SPDX-License-Identifier: MIT
/*
 * debug_exit.c - A port through which a guest ends the machine
 *
 * Like QEMU's isa-debug-exit, but the process ends with the status that the
 * guest wrote (its low byte), not with twice that plus one.
 */

#include "device.h"
#include "machine.h"

struct debug_exit {
	struct machine *m;
};

static void debug_exit_init(struct machine *m, void *dev)
{
	((struct debug_exit *)dev)->m = m;
}

static void debug_exit_out(void *dev, unsigned at, unsigned size,
			   uint32_t value)
{
	(void)at;
	(void)size;
	machine_guest_exit(((struct debug_exit *)dev)->m, value & 0xff);
}

static uint32_t debug_exit_in(void *dev, unsigned at, unsigned size)
{
	(void)dev;
	(void)at;
	(void)size;
	return 0;
}

static int debug_exit_save(struct machine *m, void *dev, struct writer *w,
			   struct error *err)
{
	(void)m;
	(void)dev;
	(void)w;
	(void)err;
	return 0;
}

static int debug_exit_load(struct machine *m, void *dev, struct reader *r,
			   struct error *err)
{
	(void)m;
	(void)dev;
	(void)r;
	(void)err;
	return 0;
}

const struct device_ops debug_exit_ops = {
	.name = "debug-exit",
	.size = sizeof(struct debug_exit),
	.port = DEBUG_EXIT_PORT,
	.ports = 4,
	.init = debug_exit_init,
	.out = debug_exit_out,
	.in = debug_exit_in,
	.save = debug_exit_save,
	.load = debug_exit_load,
};
