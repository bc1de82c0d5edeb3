// SPDX-License-Identifier: MIT
/* dump_range.c - Translate a range of guest-physical addresses */

#include <errno.h>

#include "dump_range.h"

int dump_range_whole(const struct ram *ram, uint64_t gpa, uint64_t size,
		     uint64_t *offset, struct error *err)
{
	if (!size)
		return error_set(err, EINVAL, "the size must not be 0");
	if (ram_offset(ram, gpa, size, offset))
		return 0;
	for (unsigned i = 0; i < ram->regions; i++) {
		const struct ram_region *r = &ram->region[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size)
			gpa = r->gpa + r->size;
	}
	return error_set(err, ERANGE, "0x%llx is not RAM of this guest",
			 (unsigned long long)gpa);
}

int dump_range_part(const struct ram *ram, uint64_t begin, uint64_t length,
		    uint64_t *from, uint64_t *to, struct error *err)
{
	uint64_t end = begin + length;

	*from = *to = 0;
	for (unsigned i = 0; i < ram->regions; i++) {
		const struct ram_region *r = &ram->region[i];
		uint64_t a = begin > r->gpa ? begin : r->gpa;
		uint64_t b = end < r->gpa + r->size ? end : r->gpa + r->size;

		if (a >= b)
			continue;
		*from = *to ? *from : r->offset + (a - r->gpa);
		*to = r->offset + (b - r->gpa);
	}
	return *to ? 0 : error_set(err, ERANGE,
		"none of 0x%llx to 0x%llx is RAM of this guest",
		(unsigned long long)begin, (unsigned long long)end);
}
