/* SPDX-License-Identifier: MIT */
/*
 * dump.h - Guest memory into files: pmemsave, dump-guest-memory
 *
 * QEMU's commands. One at a time, in a thread of its own, since it may take
 * long. A dump pauses the guest while it lasts.
 */
#ifndef FERRY_DUMP_H
#define FERRY_DUMP_H

#include "vmm/base/error.h"

struct dumper;
struct host;

/**
 * dumper_new() - Add the commands
 * @h:		the host, whose control is open
 * @err:	why not
 *
 * Return: it, or NULL
 */
struct dumper *dumper_new(struct host *h, struct error *err);

/**
 * dumper_free() - End what is under way, and free it; NULL is fine
 * @d:		it
 *
 * Before the machine goes, and before the control does.
 */
void dumper_free(struct dumper *d);

#endif /* FERRY_DUMP_H */
