/* SPDX-License-Identifier: MIT */
/*
 * sigbus.h - SIGBUS: the kernel's notification of lost memory
 *
 * When a vCPU's thread touches poison, KVM_RUN returns EINTR and the thread
 * receives SIGBUS: the handler stores the details in the thread's own struct
 * sigbus. The details of an error that the host found (action optional, prctl
 * PR_MCE_KILL_EARLY) go into a pipe that the main loop reads. The kernel drops
 * such a signal while another one is pending (SIGBUS is not queued): the guest
 * then learns of that page when it touches it. Reads of guest RAM go through
 * sigbus_copy(). Any other SIGBUS is a bug and ends the process as if there
 * were no handler.
 */
#ifndef FERRY_SIGBUS_H
#define FERRY_SIGBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/error.h"

/**
 * struct sigbus - The details of a SIGBUS
 * @addr:	host virtual address
 * @lsb:	log2 of the bytes that are lost
 * @seen:	a SIGBUS was received; the code that handles it sets this to
 *		false
 */
struct sigbus {
	uint64_t addr;
	unsigned lsb;
	volatile bool seen;
};

/**
 * sigbus_install() - Install the handler for this process
 * @err:	the reason on failure
 *
 * Return: a pipe that delivers a struct sigbus for each action-optional error,
 *	   or -errno
 */
int sigbus_install(struct error *err);

/**
 * sigbus_watch() - Set where this thread's SIGBUS stores its details
 * @s:		the place, or NULL for none
 *
 * Return: the place that was set before
 */
struct sigbus *sigbus_watch(struct sigbus *s);

/**
 * sigbus_copy() - memcpy() from memory that may be lost
 * @to:		where to
 * @from:	where from
 * @len:	bytes
 *
 * Costs half as much as process_vm_readv(), which pins each page. It is also
 * safer: if the load is the first to find an error of the hardware, the kernel
 * recovers from a user-mode instruction (SIGBUS), but not always from its own.
 *
 * Return: true; false if part of @from can't be read, or sigbus_install() was
 *	   not called: then the contents of @to are undefined
 */
bool sigbus_copy(void *to, const void *from, size_t len);

#endif /* FERRY_SIGBUS_H */
