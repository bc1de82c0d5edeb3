/* SPDX-License-Identifier: MIT */
/*
 * kmsg.h - The kernel's messages as lines of the console
 */
#ifndef GUEST_LINUX_KMSG_H
#define GUEST_LINUX_KMSG_H

/** kmsg_start() - Print each kernel message, "kmsg level=… t_us=… TEXT" */
void kmsg_start(void);

#endif
