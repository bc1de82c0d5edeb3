// SPDX-License-Identifier: MIT
/* device.c - What a machine is made of, beside vCPUs and RAM */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "vmm/machine/machine_guest.h"
#include "vmm/machine/machine_private.h"

#define DEVICE_NAME_MAX	16

const struct device_ops *const device_list[DEVICES] = {
	&irqchip_ops, &pit_ops, &clock_ops, &serial_ops, &debug_exit_ops,
	&power_ops, &pvpanic_ops, &keyboard_ops,
};

int devices_init(struct machine *m, struct error *err)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		const struct device_ops *ops = device_list[i];

		m->device[i] = calloc(1, ops->size ? ops->size : 1);
		if (!m->device[i])
			return error_set(err, ENOMEM,
					 "out of memory for device %s",
					 ops->name);
	}
	return 0;
}

void devices_fini(struct machine *m)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		free(m->device[i]);
		m->device[i] = NULL;
	}
}

static const struct device_ops *find_port(struct machine *m, unsigned port,
					  void **dev)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		const struct device_ops *ops = device_list[i];

		if (port < ops->port || port - ops->port >= ops->ports)
			continue;
		*dev = m->device[i];
		return ops;
	}
	return NULL;
}

static void pio_once(struct machine *m, const struct pio *io, uint8_t *data)
{
	uint32_t value = 0xffffffff;
	const struct device_ops *ops;
	void *dev;

	ops = find_port(m, io->port, &dev);
	if (!io->is_in) {
		memcpy(&value, data, io->size);
		if (ops)
			ops->out(m, dev, io->port - ops->port, io->size,
				 value);
		return;
	}
	if (ops)
		value = ops->in ? ops->in(m, dev, io->port - ops->port,
					  io->size) : 0;
	memcpy(data, &value, io->size);
}

void devices_pio(struct machine *m, const struct pio *io)
{
	pthread_mutex_lock(&m->device_lock);
	for (unsigned i = 0; i < io->count; i++)
		pio_once(m, io, io->data + i * io->size);
	pthread_mutex_unlock(&m->device_lock);
}

int devices_save(struct machine *m, struct writer *w, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; i < DEVICES && !rc; i++) {
		const struct device_ops *ops = device_list[i];
		char name[DEVICE_NAME_MAX] = { 0 };
		size_t mark;

		memcpy(name, ops->name, strlen(ops->name));
		put_bytes(w, name, sizeof(name));
		mark = put_open(w);
		pthread_mutex_lock(&m->device_lock);
		if (ops->save)
			rc = ops->save(m, m->device[i], w, err);
		pthread_mutex_unlock(&m->device_lock);
		put_close(w, mark);
	}
	return rc;
}

static int load_one(struct machine *m, unsigned i, struct reader *r,
		    bool reset, struct error *err)
{
	const struct device_ops *ops = device_list[i];
	const uint8_t *name = get_bytes(r, DEVICE_NAME_MAX);
	struct reader part = get_part(r);
	int rc = 0;

	if (!name || strncmp((const char *)name, ops->name, DEVICE_NAME_MAX))
		return error_set(err, EBADMSG,
				 "device state: '%.16s' where '%s' belongs",
				 name ? (const char *)name : "the end",
				 ops->name);
	if (reset && ops->lasting)
		return 0;
	pthread_mutex_lock(&m->device_lock);
	if (ops->load)
		rc = ops->load(m, m->device[i], &part, err);
	pthread_mutex_unlock(&m->device_lock);
	if (!rc && !reader_done(&part))
		rc = error_set(err, EBADMSG,
			"device state of %s has the wrong length", ops->name);
	return rc;
}

int devices_load(struct machine *m, struct reader *r, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; i < DEVICES && !rc; i++)
		rc = load_one(m, i, r, false, err);
	return rc;
}

int devices_reset(struct machine *m, struct reader *r, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; i < DEVICES && !rc; i++)
		rc = load_one(m, i, r, true, err);
	return rc;
}
