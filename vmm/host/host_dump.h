/* SPDX-License-Identifier: MIT */
/*
 * host_dump.h - Commands that write guest memory into files
 *
 * QEMU's pmemsave, dump-guest-memory, query-dump. One file is written at a
 * time, in a thread of its own, since it may take long. dump-guest-memory
 * pauses the guest until the file is complete.
 */
#ifndef FERRY_HOST_DUMP_H
#define FERRY_HOST_DUMP_H

#include "vmm/base/error.h"

struct host;
struct host_dump;

/**
 * host_dump_new() - Register the commands
 * @h:		the host, whose control is open
 * @err:	the reason on failure
 *
 * Return: the dump, or NULL
 */
struct host_dump *host_dump_new(struct host *h, struct error *err);

/**
 * host_dump_free() - End a dump that is under way, and free; accepts NULL
 * @d:		the dump
 *
 * Call it before the machine and the control are freed.
 */
void host_dump_free(struct host_dump *d);

#endif /* FERRY_HOST_DUMP_H */
