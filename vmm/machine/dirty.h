/* SPDX-License-Identifier: MIT */
/*
 * dirty.h - Which pages of RAM change while the guest runs
 *
 * Writes of vCPUs and of KVM come from KVM's dirty log, those of the VMM from
 * ram_dirty.h. Bits number the pages by their offset in RAM, 64 to a word; a
 * bitmap has room for the pages of RAM and one word more.
 *
 * A page is clean from machine_dirty_clear() until the next write. So a caller
 * fetches, and then, for each range: clears, and reads. What is written while it
 * is read, or later, is in the next fetch.
 *
 * Pages that become unreadable are not reported here but in the poison list.
 */
#ifndef FERRY_DIRTY_H
#define FERRY_DIRTY_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/error.h"

/* machine_dirty_clear() takes ranges of so many pages */
#define DIRTY_ALIGN	64u

struct machine;

/**
 * machine_dirty_start() - Begin: the first fetch returns every page
 * @m:		the machine
 * @err:	the reason on failure
 *
 * The first write to a page after it was cleared costs the guest a few
 * microseconds, until machine_dirty_stop().
 *
 * Return: 0, -errno; machine_dirty_stop() is needed only after 0
 */
int machine_dirty_start(struct machine *m, struct error *err);

/** machine_dirty_stop() - End it; fine if it was not started */
void machine_dirty_stop(struct machine *m);

/**
 * machine_dirty_fetch() - Get the pages that are dirty
 * @m:		the machine
 * @bits:	set where a page is dirty; others keep their value
 * @err:	the reason on failure
 *
 * The caller must clear and read each page, or remember it: not every page is
 * reported again. Nothing is missed of a guest that is held.
 *
 * Return: 0, -errno
 */
int machine_dirty_fetch(struct machine *m, uint64_t *bits, struct error *err);

/**
 * machine_dirty_clear() - Pages are about to be read
 * @m:		the machine
 * @bits:	the pages: those of the range whose bits are set
 * @first:	first page of the range, a multiple of DIRTY_ALIGN
 * @n:		pages, a multiple of DIRTY_ALIGN unless the range ends with RAM
 * @err:	the reason on failure
 *
 * Return: 0, -errno
 */
int machine_dirty_clear(struct machine *m, const uint64_t *bits, size_t first,
			size_t n, struct error *err);

#endif /* FERRY_DIRTY_H */
