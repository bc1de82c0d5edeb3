/* SPDX-License-Identifier: MIT */
/*
 * device.h - Device models and their instances
 *
 * A device model is a struct device_ops: its name, the places at which it can
 * be, and its functions. A struct device is one instance of a model. It
 * belongs to a bus (bus.h), which dispatches the guest's accesses, quiesces and
 * resumes, saves and loads. A device reaches the rest of the machine only
 * through its struct device_env.
 *
 * A device that KVM emulates (irqchip, PIT, clock) has state, but no ranges.
 */
#ifndef FERRY_DEVICE_H
#define FERRY_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device_env.h"
#include "vmm/base/bytes.h"
#include "vmm/base/error.h"

#define DEVICE_RANGES	2	/* of one device, at most */

enum device_space { DEVICE_PORTS, DEVICE_MMIO };

/**
 * struct device_range - Addresses at which the guest reaches a device
 * @space:	I/O ports or guest-physical addresses
 * @base:	the first one
 * @size:	number of ports or bytes; 0: this range does not exist
 */
struct device_range {
	enum device_space space;
	uint64_t base, size;
};

/**
 * struct device_place - Where one instance of a model is
 * @range:	its ranges
 * @irq:	its interrupt line (layout.h), 0 if it has none
 */
struct device_place {
	struct device_range range[DEVICE_RANGES];
	unsigned irq;
};

/**
 * struct device_access - One access of the guest to a device
 * @range:	index in struct device_place's @range
 * @at:		offset in that range
 * @size:	bytes: 1, 2, 4 or (MMIO only) 8
 *
 * An access to ports belongs to the device of its first port, even if it ends
 * after the range. An MMIO access ends inside the range.
 */
struct device_access {
	unsigned range;
	uint64_t at;
	unsigned size;
};

struct device;

/**
 * struct device_ops - A device model
 * @name:	of its state section and description node; at most 16 characters
 * @compatible:	of its description node; NULL: it has none, and is in every
 *		machine
 * @version:	of its state section; a section with another one is refused
 * @size:	bytes of private state (struct device's @state), zeroed at first
 * @place:	where its instances are, by instance number
 * @places:	number of instances that a machine can have
 * @lasting:	a reset of the machine leaves the device as it is
 * @create:	allocate all that the device ever needs, its threads included,
 *		which wait until @resume. Return: 0, -errno
 * @destroy:	end the threads, free everything. Called once after a successful
 *		@create, when no vCPU runs and no page is waited for
 * @read:	the guest reads; return the value. NULL: it reads zeroes
 * @write:	the guest writes @value
 * @quiesce:	stop the device's own threads, and complete or keep what they had
 *		begun: afterwards neither the device's state nor guest RAM changes
 *		and no interrupt is raised, until @resume. Return: 0, or -ETIMEDOUT
 *		(naming the reason) if that takes longer than @ms milliseconds; the
 *		device then runs on
 * @resume:	start the threads; cannot fail
 * @save:	append the state. Return: 0, -errno
 * @load:	take over a state that @save wrote, after checking it. After a
 *		failure only @destroy follows. Return: 0, -EBADMSG, -errno
 *
 * A function that a model does not need is NULL. @read, @write, @save and @load
 * are called with the device's lock held, the others without it. A device is
 * created quiesced. @save and @load are only called on a quiesced device.
 */
struct device_ops {
	const char *name, *compatible;
	unsigned version;
	size_t size;
	const struct device_place *place;
	unsigned places;
	bool lasting;
	int (*create)(struct device *d, struct error *err);
	void (*destroy)(struct device *d);
	uint64_t (*read)(struct device *d, const struct device_access *a);
	void (*write)(struct device *d, const struct device_access *a,
		      uint64_t value);
	int (*quiesce)(struct device *d, unsigned ms, struct error *err);
	void (*resume)(struct device *d);
	int (*save)(struct device *d, struct writer *w, struct error *err);
	int (*load)(struct device *d, struct reader *r, struct error *err);
};

/**
 * struct device - One instance of a model
 * @ops:	its model
 * @instance:	its number among the instances of the model
 * @place:	its ranges and interrupt line
 * @env:	its environment
 * @backend:	what it works on at the host's side: struct device_config
 * @state:	@ops->size bytes, private to the model
 * @lock:	protects @state. Taken before any lock of the machine
 */
struct device {
	const struct device_ops *ops;
	unsigned instance;
	const struct device_place *place;
	const struct device_env *env;
	void *backend;
	void *state;
	pthread_mutex_t lock;
};

/**
 * device_irq() - Set the level of a device's interrupt line
 * @d:		the device, which has one
 * @level:	raised or not
 */
static inline void device_irq(struct device *d, bool level)
{
	d->env->irq(d->env->ctx, d->place->irq, level);
}

#endif /* FERRY_DEVICE_H */
