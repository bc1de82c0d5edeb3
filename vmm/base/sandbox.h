/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - Limit the system calls of this process (seccomp)
 */
#ifndef FERRY_SANDBOX_H
#define FERRY_SANDBOX_H

#include "error.h"

/**
 * sandbox_enter() - Allow only the system calls that a machine needs
 * @err:	the cause of a failure
 *
 * For all threads, those that exist and those to come, and for good. Any other
 * call prints its name to standard error and ends the process by SIGSYS. What
 * is allowed is in sandbox.c. A thread that blocks SIGSYS ends the process
 * without the message.
 *
 * Sets PR_SET_NO_NEW_PRIVS, which a process without CAP_SYS_ADMIN needs for
 * this. In a build with AddressSanitizer or ThreadSanitizer, which need further
 * calls, nothing happens.
 *
 * Return: 0, -ENOSYS or -EINVAL (the kernel has no seccomp filters), -ESRCH (a
 *	   thread has a filter of its own), -errno
 */
int sandbox_enter(struct error *err);

#endif /* FERRY_SANDBOX_H */
