/* SPDX-License-Identifier: MIT */
/*
 * dump_range.h - Translate a range of guest-physical addresses
 */
#ifndef FERRY_DUMP_RANGE_H
#define FERRY_DUMP_RANGE_H

#include "vmm/base/error.h"
#include "vmm/memory/ram.h"

/**
 * dump_range_whole() - Translate a range of which every byte must be RAM
 * @ram:	the RAM
 * @gpa:	guest-physical address, of any value
 * @size:	bytes, of any value
 * @offset:	set to its offset in RAM
 * @err:	names the first address that is not RAM
 *
 * Return: 0, -EINVAL (0 bytes), -ERANGE
 */
int dump_range_whole(const struct ram *ram, uint64_t gpa, uint64_t size,
		     uint64_t *offset, struct error *err);

/**
 * dump_range_part() - Translate the part of a range that is RAM
 * @ram:	the RAM
 * @begin:	guest-physical address, at most INT64_MAX
 * @length:	bytes, at most INT64_MAX
 * @from, @to:	set to the offsets of the first byte and after the last byte
 * @err:	the reason on failure
 *
 * Return: 0, -ERANGE (none of it is RAM)
 */
int dump_range_part(const struct ram *ram, uint64_t begin, uint64_t length,
		    uint64_t *from, uint64_t *to, struct error *err);

#endif /* FERRY_DUMP_RANGE_H */
