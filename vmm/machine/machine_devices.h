/* SPDX-License-Identifier: MIT */
/*
 * machine_devices.h - A machine's devices: creation, quiescing (private)
 */
#ifndef FERRY_MACHINE_DEVICES_H
#define FERRY_MACHINE_DEVICES_H

#include "vmm/base/error.h"

struct machine;

/**
 * machine_create_devices() - Create all devices of m->cfg.devices, quiesced
 * @m:		the machine, with KVM and RAM
 * @err:	the reason on failure
 *
 * Return: 0, -errno
 */
int machine_create_devices(struct machine *m, struct error *err);

/**
 * machine_settle_devices() - Have the devices follow the gate
 * @m:		the machine; neither notify_lock nor a device's lock is held
 * @ms:		limit for quiescing
 * @err:	the reason on failure; may be NULL
 *
 * Devices are resumed while the gate is open, else quiesced. Every function
 * that changes the gate and may wait calls this afterwards; a function that
 * closed the gate calls it after the vCPUs have parked. It reads the gate under
 * settle_lock: of two threads that changed the gate, the last one to call this
 * leaves the devices in agreement with the gate. Where a vCPU closes the gate
 * (the guest ends or panics) the devices run until the machine is paused, held
 * or freed.
 *
 * Return: 0, -ETIMEDOUT (a device did not stop; all devices run)
 */
int machine_settle_devices(struct machine *m, unsigned ms, struct error *err);

#endif /* FERRY_MACHINE_DEVICES_H */
