/* SPDX-License-Identifier: MIT */
/*
 * reset.h - Reset a machine: everything as it was before its first instruction
 *
 * Whoever wants a reset asks for it, from any thread: the vCPUs stop, and the
 * observer is told. It is carried out later, by a thread that is none of the
 * machine's, and not while a migration holds the machine or its RAM is still
 * arriving. Until then the wish is state, and moves with the guest.
 */
#ifndef FERRY_RESET_H
#define FERRY_RESET_H

#include <stdbool.h>

#include "vmm/base/runstate.h"
#include "vmm/base/error.h"

struct machine;

/**
 * machine_ask_reset() - Stop the vCPUs, and have the machine reset
 * @m:		the machine
 * @cause:	who wants it; the first one counts
 */
void machine_ask_reset(struct machine *m, enum reset_cause cause);

/** machine_reset_asked() - Who wants a reset that has not been carried out? */
enum reset_cause machine_reset_asked(struct machine *m);

/** machine_set_reset_asked() - For a device whose state is loaded */
void machine_set_reset_asked(struct machine *m, enum reset_cause cause);

/** machine_tell_reset() - Tell the observer again if a reset was asked for */
void machine_tell_reset(struct machine *m);

/**
 * machine_reset() - Carry it out
 * @m:		the machine; its boot images are there (boot_can_start())
 * @err:	why not
 *
 * Devices and vCPUs are as they were when the machine was built; only the
 * clocks (kvmclock, TSC) go on. All of RAM is fresh, nothing is poisoned any
 * more, and the kernel is loaded again. A machine that ran runs then; any other
 * is in prelaunch.
 *
 * Return: 0, -EBUSY (not now: it will be told again when it can be), -errno
 *	   (the machine is of no use any more: it has crashed)
 */
int machine_reset(struct machine *m, struct error *err);

#endif /* FERRY_RESET_H */
