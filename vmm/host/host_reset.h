/* SPDX-License-Identifier: MIT */
/*
 * host_reset.h - Reset of the guest
 */
#ifndef FERRY_HOST_RESET_H
#define FERRY_HOST_RESET_H

#include "vmm/base/error.h"
#include "vmm/base/runstate.h"

struct host;

/**
 * host_reset_asked() - The observer's reset(): post the reset to the main
 * thread
 * @ctx:	the host
 */
void host_reset_asked(void *ctx);

/**
 * host_was_reset() - The observer's was_reset(): report the reset
 * @ctx:	the host
 * @cause:	origin of the reset
 */
void host_was_reset(void *ctx, enum reset_cause cause);

/**
 * host_system_reset() - Reset the guest, or end the machine (@no_reboot)
 * @h:		the host, locked, with a machine
 * @err:	the cause of a failure
 *
 * Does not wait: the event RESET follows. While pages of the guest are still
 * arriving, its vCPUs stop, and the reset follows when all have arrived.
 *
 * Return: 0, -EBUSY (the guest is not this machine's to reset), -errno
 */
int host_system_reset(struct host *h, struct error *err);

#endif /* FERRY_HOST_RESET_H */
