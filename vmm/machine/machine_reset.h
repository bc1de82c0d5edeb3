/* SPDX-License-Identifier: MIT */
/*
 * machine_reset.h - Reset a machine to the state before its first instruction
 *
 * Any thread may request a reset: the vCPUs stop and the observer is notified.
 * machine_reset_start() has a thread of the machine carry it out, not while the
 * machine has a holder or its RAM is still arriving. Until then the request is
 * part of the machine's state and is migrated with it.
 */
#ifndef FERRY_MACHINE_RESET_H
#define FERRY_MACHINE_RESET_H

#include <stdbool.h>

#include "vmm/base/error.h"
#include "vmm/base/runstate.h"

struct machine;

/**
 * machine_ask_reset() - Stop the vCPUs and request a reset
 * @m:		the machine
 * @cause:	which side requests it; the first request's cause is kept
 */
void machine_ask_reset(struct machine *m, enum reset_cause cause);

/** machine_reset_asked() - Cause of the pending request, or RESET_NONE */
enum reset_cause machine_reset_asked(struct machine *m);

/** machine_set_reset_asked() - For a device that loads its state */
void machine_set_reset_asked(struct machine *m, enum reset_cause cause);

/**
 * machine_set_no_reboot() - End the machine at a reset, also after a migration
 * @m:		the machine
 *
 * For the observer, which decides (machine_no_reboot()); part of the state.
 */
void machine_set_no_reboot(struct machine *m);

/** machine_no_reboot() - Was machine_set_no_reboot() called, here or before? */
bool machine_no_reboot(struct machine *m);

/** machine_notify_reset() - Notify the observer again of a pending request */
void machine_notify_reset(struct machine *m);

/**
 * machine_reset() - Carry out a reset
 * @m:		the machine; machine_can_restart() is true
 * @err:	the reason on failure
 *
 * Devices and vCPUs return to the state that they had when the machine was
 * built; only the clocks (kvmclock, TSC) continue. All RAM is fresh, the poison
 * list is empty, and the registered restart function has loaded the images
 * again. A machine that was running runs afterwards; any other is in prelaunch.
 *
 * Return: 0, -EBUSY (not possible now; the observer is notified when it is),
 *	   -ETIMEDOUT (a vCPU or a device did not stop: nothing has changed, and
 *	   a request remains), -errno (the machine has crashed)
 */
int machine_reset(struct machine *m, struct error *err);

/**
 * machine_reset_start() - Have the machine's reset thread carry out the request
 * @m:		the machine; machine_can_restart() is true
 * @err:	the reason on failure
 *
 * Does not wait. The thread calls machine_reset(), again while a vCPU does not
 * stop. It logs a failure; the observer's was_reset() reports the success. One
 * thread at a time calls this function.
 *
 * Return: 0, -errno (no thread could be started; the request remains)
 */
int machine_reset_start(struct machine *m, struct error *err);

#endif /* FERRY_MACHINE_RESET_H */
