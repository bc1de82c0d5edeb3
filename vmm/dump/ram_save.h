/* SPDX-License-Identifier: MIT */
/*
 * ram_save.h - Write a range of guest RAM into a file
 *
 * Reads by ram_copy_out() (invariant 12), so lost memory is an error code and
 * not a signal. Lost pages are left out and listed, or end the save: the caller
 * chooses.
 */
#ifndef FERRY_RAM_SAVE_H
#define FERRY_RAM_SAVE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "vmm/base/outfile.h"
#include "vmm/machine/machine.h"

/**
 * struct ram_save - What is saved, and the progress
 * @m:		the machine
 * @file:	where to
 * @from, @to:	offsets into RAM
 * @base:	offset in the file that corresponds to @from
 * @strict:	lost memory ends the save
 * @stop:	another thread sets it to end the save
 * @completed:	bytes between @from and @to that are done
 * @lost:	runs of whole pages that can't be read, ascending: those in the
 *		machine's list from the start, others when a read finds them
 * @lost_n, @lost_cap: entries used, allocated
 */
struct ram_save {
	struct machine *m;
	struct outfile *file;
	uint64_t from, to, base;
	bool strict;
	const _Atomic bool *stop;
	_Atomic uint64_t *completed;
	struct ram_extent *lost;
	size_t lost_n, lost_cap;
};

/**
 * ram_save_lost() - Copy the lost memory of the range from the machine's list
 * @s:		filled in except @base; ram_save_fini() frees what this adds
 * @err:	the reason on failure
 *
 * Return: 0, -ENOMEM
 */
int ram_save_lost(struct ram_save *s, struct error *err);

/**
 * ram_save() - Save the range
 * @s:		from ram_save_lost()
 * @err:	the reason on failure; for lost memory, its address
 *
 * RAM that was never written is not read: the file has a hole there. Pages that
 * a read finds lost are entered into the machine's list too.
 *
 * Return: 0, -EHWPOISON (lost memory, and @s->strict), -ECANCELED, -errno
 */
int ram_save(struct ram_save *s, struct error *err);

/** ram_save_fini() - Free what ram_save_lost() and ram_save() allocated */
void ram_save_fini(struct ram_save *s);

#endif /* FERRY_RAM_SAVE_H */
