/* SPDX-License-Identifier: MIT */
/*
 * ram_holes.h - Find RAM that was never written
 *
 * Such RAM reads as zeroes. The answers are only as recent as the question: a
 * running guest may fill a hole at any time. The cost is proportional to the
 * number of runs (and of populated page-table entries between them), not to the
 * size of RAM; neither function opens a file.
 */
#ifndef FERRY_RAM_HOLES_H
#define FERRY_RAM_HOLES_H

#include "ram.h"

/**
 * ram_extent_fn - Called for each run
 * @ctx:	the caller's
 * @offset:	where it starts
 * @len:	bytes
 *
 * Return: 0 to continue, any other value to stop
 */
typedef int ram_extent_fn(void *ctx, uint64_t offset, uint64_t len);

/**
 * ram_holes() - Find the holes in a range
 * @ram:	the RAM
 * @from:	offset to start at, a multiple of the page size
 * @to:		offset to end at, likewise
 * @fn:		called for each hole, in ascending order
 * @ctx:	for @fn
 *
 * Return: 0, -ENOTSUP (this kernel can't tell), -errno, or what @fn returned
 */
int ram_holes(const struct ram *ram, uint64_t from, uint64_t to,
	      ram_extent_fn *fn, void *ctx);

/**
 * ram_holes_left() - Find what is still a hole in a list of earlier holes
 * @ram:	the RAM
 * @hole:	ascending and disjoint, as ram_holes() found them
 * @n:		how many
 * @fn:		called for each run that is still a hole, in ascending order
 * @ctx:	for @fn
 *
 * For a paused guest, after ram_holes() ran while it was running: only the old
 * holes are examined, many of them by one system call.
 *
 * Return: as ram_holes()
 */
int ram_holes_left(const struct ram *ram, const struct ram_extent *hole,
		   size_t n, ram_extent_fn *fn, void *ctx);

#endif /* FERRY_RAM_HOLES_H */
