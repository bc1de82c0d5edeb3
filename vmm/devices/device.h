/* SPDX-License-Identifier: MIT */
/*
 * device.h - What a machine is made of, beside vCPUs and RAM
 *
 * Every device is a struct of ops; device_list is all of them, in the order
 * in which they are made, saved and loaded. A device that lives in the kernel
 * (irqchip, PIT, clock) has state, but no ports.
 */
#ifndef FERRY_DEVICE_H
#define FERRY_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/bytes.h"
#include "vmm/base/error.h"

struct machine;

/**
 * struct device_ops - One device
 * @name:	of its part of the saved state; at most 16 characters
 * @size:	bytes of private state, zeroed at the start
 * @port:	first I/O port
 * @ports:	number of I/O ports, 0 if it has none
 * @out:	the guest wrote @value (@size bytes) to port @at of the device
 * @in:		the guest reads @size bytes from port @at of the device; NULL if
 *		all its ports read as 0
 * @save:	append the state; NULL, like @load, if it has none
 * @load:	take the state over; what it doesn't accept is refused
 * @lasting:	a reset leaves it as it is
 *
 * @in and @out are called with the machine's device lock held.
 */
struct device_ops {
	const char *name;
	size_t size;
	uint16_t port, ports;
	void (*out)(struct machine *m, void *dev, unsigned at, unsigned size,
		    uint32_t value);
	uint32_t (*in)(struct machine *m, void *dev, unsigned at,
		       unsigned size);
	int (*save)(struct machine *m, void *dev, struct writer *w,
		    struct error *err);
	int (*load)(struct machine *m, void *dev, struct reader *r,
		    struct error *err);
	bool lasting;
};

#define DEVICES		8
#define DEBUG_EXIT_PORT	0xf4
#define KEYBOARD_PORT	0x64	/* its controller's command port */

extern const struct device_ops *const device_list[DEVICES];

extern const struct device_ops irqchip_ops, pit_ops, clock_ops;
extern const struct device_ops serial_ops, debug_exit_ops, power_ops;
extern const struct device_ops pvpanic_ops, keyboard_ops;

/**
 * devices_init() - Make all devices of a machine
 * @m:		the machine, whose KVM is open
 * @err:	why not
 *
 * Return: 0, -ENOMEM
 */
int devices_init(struct machine *m, struct error *err);

/** devices_fini() - Free them; fine if they were never made */
void devices_fini(struct machine *m);

/**
 * devices_pio() - Carry out the guest's port I/O
 * @m:		the machine
 * @port:	I/O port
 * @is_in:	the guest reads
 * @size:	bytes of each access: 1, 2 or 4
 * @count:	number of accesses (string I/O)
 * @data:	@size * @count bytes, read or filled in
 *
 * A port where nothing is reads as ones and takes writes, as on a PC.
 */
struct pio {
	uint16_t port;
	bool is_in;
	unsigned size, count;
	uint8_t *data;
};
void devices_pio(struct machine *m, const struct pio *io);

/**
 * devices_save() - Append the state of all devices
 * @m:		the machine, paused
 * @w:		to where
 * @err:	why not
 *
 * Return: 0, -errno
 */
int devices_save(struct machine *m, struct writer *w, struct error *err);

/**
 * devices_load() - Take over the state of all devices
 * @m:		the machine, not running
 * @r:		from where
 * @err:	why not, naming the device
 *
 * Return: 0, -EBADMSG (not a state of these devices), -errno
 */
int devices_load(struct machine *m, struct reader *r, struct error *err);

/**
 * devices_reset() - The same for a reset: what lasts is left as it is
 */
int devices_reset(struct machine *m, struct reader *r, struct error *err);

#endif /* FERRY_DEVICE_H */
