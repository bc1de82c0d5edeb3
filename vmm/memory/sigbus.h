/* SPDX-License-Identifier: MIT */
/*
 * sigbus.h - How the kernel tells this process of bad memory
 *
 * A vCPU thread that touched poison comes back from KVM_RUN with EINTR and a
 * SIGBUS behind it: the handler leaves what it said in the thread's own
 * struct sigbus. An error that the host found by itself (action optional,
 * prctl PR_MCE_KILL_EARLY) goes into a pipe that the main loop reads. The kernel
 * drops one that comes while another is pending (SIGBUS is not queued): of
 * that page the guest is told when it touches it. Reads of guest RAM go through
 * sigbus_copy(). Any other SIGBUS is a bug, and ends the process as if there
 * were no handler.
 */
#ifndef FERRY_SIGBUS_H
#define FERRY_SIGBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/error.h"

/**
 * struct sigbus - What a SIGBUS said
 * @addr:	host virtual address
 * @lsb:	log2 of the bytes that are lost
 * @seen:	there was one; whoever deals with it sets this to false
 */
struct sigbus {
	uint64_t addr;
	unsigned lsb;
	volatile bool seen;
};

/**
 * sigbus_install() - Handle SIGBUS from now on
 * @err:	why not
 *
 * Return: the pipe to read struct sigbus records of action-optional errors
 *	   from, or -errno
 */
int sigbus_install(struct error *err);

/**
 * sigbus_watch() - Give this thread a place for what its SIGBUS says
 * @s:		the place, or NULL to have none any more
 *
 * Return: the place before
 */
struct sigbus *sigbus_watch(struct sigbus *s);

/**
 * sigbus_copy() - memcpy() out of memory that may turn out to be lost
 * @to:		where to
 * @from:	from where
 * @len:	bytes
 *
 * Half the price of process_vm_readv(), which pins each page, and safer: a
 * load by a user's instruction is what the kernel recovers from (SIGBUS) when
 * it is the first to meet an error of the hardware's.
 *
 * Return: true; false if some of @from can't be read, or nobody called
 *	   sigbus_install(): what is at @to then is of no use
 */
bool sigbus_copy(void *to, const void *from, size_t len);

#endif /* FERRY_SIGBUS_H */
