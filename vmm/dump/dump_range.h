/* SPDX-License-Identifier: MIT */
/*
 * dump_range.h - Which RAM is meant by guest-physical addresses
 */
#ifndef FERRY_DUMP_RANGE_H
#define FERRY_DUMP_RANGE_H

#include "vmm/base/error.h"
#include "vmm/memory/ram.h"

/**
 * dump_range_whole() - A stretch that must be RAM, every byte of it
 * @ram:	the RAM
 * @gpa:	guest-physical address, of any value
 * @size:	bytes, of any value
 * @offset:	set to where it is in RAM
 * @err:	names the first address that is none
 *
 * Return: 0, -EINVAL (0 bytes), -ERANGE
 */
int dump_range_whole(const struct ram *ram, uint64_t gpa, uint64_t size,
		     uint64_t *offset, struct error *err);

/**
 * dump_range_part() - What of a stretch is RAM: the rest of it is left out
 * @ram:	the RAM
 * @begin:	guest-physical address, at most INT64_MAX
 * @length:	bytes, at most INT64_MAX
 * @from, @to:	set to offsets into RAM, where @to is behind the last byte
 * @err:	why not
 *
 * Return: 0, -ERANGE (none of it is RAM)
 */
int dump_range_part(const struct ram *ram, uint64_t begin, uint64_t length,
		    uint64_t *from, uint64_t *to, struct error *err);

#endif /* FERRY_DUMP_RANGE_H */
