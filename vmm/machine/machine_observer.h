/* SPDX-License-Identifier: MIT */
/*
 * machine_observer.h - Notifications that a machine sends
 */
#ifndef FERRY_MACHINE_OBSERVER_H
#define FERRY_MACHINE_OBSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/runstate.h"

enum memory_failure_action {
	MF_NOTED,	/* the page is lost; no vCPU has touched it yet */
	MF_INJECTED,	/* the guest received a machine check */
	MF_FATAL,	/* the guest could not take a machine check */
	MEMORY_FAILURE_ACTIONS
};

/* What found a lost page */
enum memory_failure_origin {
	MF_BY_ACCESS,	/* a vCPU accessed it */
	MF_BY_COMMAND,	/* ferry-poison */
	MF_BY_HOST,	/* the host's kernel, before any access */
	MF_BY_READ,	/* a read of this process: the sender's, a dump's */
	MF_BY_PEER,	/* the other side of a migration */
	MEMORY_FAILURE_ORIGINS
};

/**
 * struct memory_failure - A memory error
 * @gpa:	guest-physical address
 * @size:	bytes
 * @action:	what the machine did about it
 * @origin:	what found it
 * @required:	a vCPU consumed the error
 * @recursive:	the guest was already handling a machine check
 * @repeats:	how many more accesses to lost pages that were reported before
 *		have not been reported one by one
 */
struct memory_failure {
	uint64_t gpa, size;
	enum memory_failure_action action;
	enum memory_failure_origin origin;
	bool required, recursive;
	uint64_t repeats;
};

/**
 * struct machine_observer - Receives a machine's notifications
 * @ctx:	passed to each function
 * @status:	the run status changed
 * @failure:	a memory error was found, or reported to the guest
 * @exit:	the guest ended with this status
 * @reset:	a reset was requested: call machine_reset_start() soon, from a
 *		thread that is not a vCPU's
 * @was_reset:	the reset is complete, for this cause; no vCPU runs yet
 * @panic:	the guest's kernel panicked; @paused if the panic stopped the
 *		machine, false if the guest handles it and continues
 * @output:	bytes that the guest wrote to its serial port
 *
 * Called from any thread, with no lock held except a device's and
 * notify_lock. Must be short and must not call the machine.
 */
struct machine_observer {
	void *ctx;
	void (*status)(void *ctx, struct run_status s);
	void (*failure)(void *ctx, const struct memory_failure *f);
	void (*exit)(void *ctx, int status);
	void (*reset)(void *ctx);
	void (*was_reset)(void *ctx, enum reset_cause cause);
	void (*panic)(void *ctx, bool paused);
	void (*output)(void *ctx, const uint8_t *data, size_t n);
};

#endif /* FERRY_MACHINE_OBSERVER_H */
