/* SPDX-License-Identifier: MIT */
/* machine_devices.h - A machine's devices: creation, quiescing (machine/ only) */
#ifndef FERRY_MACHINE_DEVICES_H
#define FERRY_MACHINE_DEVICES_H

#include "vmm/base/error.h"

struct machine;

/**
 * machine_create_devices() - Create all devices of m->cfg.devices, quiesced
 * @m:		the machine, with KVM and RAM
 * @err:	why not
 *
 * Return: 0, -errno
 */
int machine_create_devices(struct machine *m, struct error *err);

/**
 * machine_settle_devices() - Let the devices follow the gate
 * @m:		the machine; neither telling nor a device's lock is held
 * @ms:		limit for quiescing
 * @err:	why not; may be NULL
 *
 * Devices are resumed while the gate is open, else quiesced. Every function that
 * changes the gate and may wait calls this afterwards; when it closed the gate,
 * after the vCPUs have parked. It looks at the gate itself, under the lock
 * "settling": of two threads that changed the gate, the last one to come here
 * leaves the devices as the gate is. Where a vCPU closes the gate (the guest
 * ends, panics) the devices run on until the machine is paused, held or freed.
 *
 * Return: 0, -ETIMEDOUT (a device did not stop; all devices run on)
 */
int machine_settle_devices(struct machine *m, unsigned ms, struct error *err);

#endif /* FERRY_MACHINE_DEVICES_H */
