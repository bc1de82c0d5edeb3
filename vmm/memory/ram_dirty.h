/* SPDX-License-Identifier: MIT */
/*
 * ram_dirty.h - Pages of RAM that this process has written
 *
 * KVM's dirty log has what vCPUs and KVM write. What the VMM writes for them
 * (boot data, the emulator's accesses, a reset) is here: ram_write() and
 * ram_renew() mark it after they have written. So a page that is read while it is
 * being written is marked afterwards, and is read again.
 */
#ifndef FERRY_RAM_DIRTY_H
#define FERRY_RAM_DIRTY_H

#include "ram.h"

/**
 * ram_dirty_begin() - Mark writes from now on
 * @ram:	the RAM
 *
 * Forgets earlier marks. The bits, one for each page, stay until ram_destroy(): a
 * thread may be about to mark.
 *
 * Return: 0, -ENOMEM
 */
int ram_dirty_begin(struct ram *ram);

/** ram_dirty_end() - Free the bits; only for ram_destroy() */
void ram_dirty_end(struct ram *ram);

/** ram_dirty_mark() - A range was written; no effect before ram_dirty_begin() */
void ram_dirty_mark(const struct ram *ram, uint64_t offset, uint64_t len);

/**
 * ram_dirty_take() - Get the marks, and clear them
 * @ram:	the RAM
 * @bits:	one for each page, by offset: set where the page is marked; others
 *		keep their value
 */
void ram_dirty_take(const struct ram *ram, uint64_t *bits);

#endif /* FERRY_RAM_DIRTY_H */
