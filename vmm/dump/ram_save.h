/* SPDX-License-Identifier: MIT */
/*
 * ram_save.h - A stretch of guest RAM into a file
 *
 * Reads by ram_copy_out() (invariant 12), so lost memory is met as an error
 * and never as a signal, and the VMM lives. Such pages are skipped and noted,
 * or end it, as the caller wishes.
 */
#ifndef FERRY_RAM_SAVE_H
#define FERRY_RAM_SAVE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "vmm/base/outfile.h"
#include "vmm/machine/machine.h"

/** struct ram_extent - A stretch of RAM: offset, bytes */
struct ram_extent {
	uint64_t offset, len;
};

/**
 * struct ram_save - What is saved, and how far it is
 * @m:		the machine
 * @file:	where to
 * @from, @to:	offsets into RAM
 * @base:	where in the file @from belongs
 * @strict:	lost memory ends it
 * @stop:	set by another thread to end it
 * @completed:	bytes of @from to @to that are dealt with
 * @lost:	stretches of whole pages that can't be read, ascending; those in the
 *		machine's list from the start, others as they are met
 * @lost_n, @lost_cap: how many
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
 * ram_save_lost() - Take what is known to be lost from the machine's list
 * @s:		filled in but for @base; ram_save_fini() frees what this adds
 * @err:	why not
 *
 * Return: 0, -ENOMEM
 */
int ram_save_lost(struct ram_save *s, struct error *err);

/**
 * ram_save() - Do it
 * @s:		from ram_save_lost()
 * @err:	why not; for lost memory, its address
 *
 * RAM that was never written isn't touched: it's left out of the file. What
 * is met lost goes into the machine's list, too.
 *
 * Return: 0, -EHWPOISON (lost memory, and @s->strict), -ECANCELED, -errno
 */
int ram_save(struct ram_save *s, struct error *err);

/** ram_save_fini() - Free what ram_save_lost() and ram_save() gathered */
void ram_save_fini(struct ram_save *s);

#endif /* FERRY_RAM_SAVE_H */
