/* SPDX-License-Identifier: MIT */
/*
 * bus.h - All devices of a machine
 *
 * The bus creates the devices of a list, dispatches the guest's accesses to
 * them, and quiesces, resumes, saves, loads and resets all of them.
 *
 * Its table of devices is constant between bus_create() and bus_destroy(), so
 * that vCPUs search it without a lock. Each device has a lock of its own.
 */
#ifndef FERRY_BUS_H
#define FERRY_BUS_H

#include "device_list.h"

/**
 * struct bus - The devices of one machine
 * @env:	what they use of the machine
 * @n:		number of devices
 * @device:	the devices, in order of creation
 * @running:	they are resumed. Read and written by the callers of
 *		bus_quiesce() and bus_resume(), which must exclude each other
 */
struct bus {
	struct device_env env;
	unsigned n;
	struct device *device[DEVICES_MAX];
	bool running;
};

/**
 * bus_create() - Create all devices of a list, quiesced
 * @b:		filled in
 * @l:		which devices
 * @env:	what they use of the machine; copied
 * @err:	why not, naming the device
 *
 * Refuses an instance that its model does not have, two devices with the same
 * instance, range or interrupt line, and MMIO outside the window of layout.h.
 *
 * Return: 0, -EINVAL, -EEXIST, -ENOMEM, -errno of a device. On failure no device
 *	   is left
 */
int bus_create(struct bus *b, const struct device_list *l,
	       const struct device_env *env, struct error *err);

/**
 * bus_destroy() - Destroy all devices, in reverse order
 * @b:		the bus; one that is all zeroes has no devices
 *
 * Ends the devices' threads without a time limit: the caller has ended all
 * vCPUs, and what the threads may wait for (missing pages).
 */
void bus_destroy(struct bus *b);

/** bus_find() - An instance of a model, or NULL */
struct device *bus_find(const struct bus *b, const struct device_ops *ops,
			unsigned instance);

/**
 * struct bus_pio - The guest's port I/O
 * @port:	I/O port
 * @is_in:	the guest reads
 * @size:	bytes of each access: 1, 2 or 4
 * @count:	number of accesses (string I/O)
 * @data:	@size * @count bytes, read or filled in
 */
struct bus_pio {
	uint16_t port;
	bool is_in;
	unsigned size, count;
	uint8_t *data;
};

/**
 * bus_pio() - Carry out the guest's port I/O
 * @b:		the bus
 * @io:		what the guest does
 *
 * A port without a device reads as ones and ignores writes, as on a PC.
 */
void bus_pio(struct bus *b, const struct bus_pio *io);

/**
 * struct bus_mmio - The guest's access to an address that is not RAM
 * @gpa:	guest-physical address
 * @is_write:	the guest writes
 * @size:	bytes, 1 to 8
 * @data:	@size bytes, read or filled in
 */
struct bus_mmio {
	uint64_t gpa;
	bool is_write;
	unsigned size;
	uint8_t *data;
};

/**
 * bus_mmio() - Carry out the guest's MMIO access
 * @b:		the bus
 * @io:		what the guest does
 *
 * Where no device is, it reads as ones and ignores writes, as on a PC. The same
 * holds for an access that does not end inside the range that it starts in.
 */
void bus_mmio(struct bus *b, const struct bus_mmio *io);

/**
 * bus_quiesce() - Stop the own threads of all devices
 * @b:		the bus; nothing happens if it is quiesced
 * @ms:		limit for all devices together
 * @err:	why not, naming the device
 *
 * The vCPUs are parked, so that no new work comes.
 *
 * Return: 0, -ETIMEDOUT (all devices run on)
 */
int bus_quiesce(struct bus *b, unsigned ms, struct error *err);

/** bus_resume() - Let the devices run; nothing happens if they do */
void bus_resume(struct bus *b);

/**
 * bus_save() - Append a state section for each device
 * @b:		the bus, quiesced
 * @w:		to where
 * @err:	why not
 *
 * Return: 0, -errno
 */
int bus_save(struct bus *b, struct writer *w, struct error *err);

/**
 * bus_load() - Take over the state of all devices
 * @b:		the bus, quiesced
 * @r:		from where
 * @err:	why not, naming the section
 *
 * Return: 0, -EBADMSG (not the state of these devices), -errno
 */
int bus_load(struct bus *b, struct reader *r, struct error *err);

/**
 * bus_reset() - As bus_load(), but lasting devices keep their state
 *
 * For a reset of the machine: @r is at what bus_save() wrote when the machine
 * was built.
 */
int bus_reset(struct bus *b, struct reader *r, struct error *err);

#endif /* FERRY_BUS_H */
