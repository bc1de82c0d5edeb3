/* SPDX-License-Identifier: MIT */
/*
 * options_value.h - Numbers and sizes on the command line (pure)
 *
 * @what:	the option, for the error text, e.g. "--memory"
 * @text:	what the user typed
 * @err:	what is wrong with @text
 *
 * Return: 0, -EINVAL (not such a value), -ERANGE (too large, or too small)
 */
#ifndef FERRY_OPTIONS_VALUE_H
#define FERRY_OPTIONS_VALUE_H

#include <stdint.h>

#include "vmm/base/error.h"

/* Unit of a number without one: a power of two */
#define PLAIN_BYTES	0
#define PLAIN_MIB	20	/* as QEMU's -m */

/**
 * parse_size() - A number with K, M, G or T: powers of 1024
 * @plain:	unit of a plain number. With PLAIN_BYTES also hexadecimal after
 *		0x, as an address
 * @bytes:	receives the size, rounded down
 *
 * KB and KiB mean the same as K. A number with a unit may have a fraction: 1.5M.
 */
int parse_size(const char *what, const char *text, unsigned plain,
	       uint64_t *bytes, struct error *err);

/**
 * parse_address() - A guest-physical address
 * @address:	receives the address: decimal, or hexadecimal after 0x
 */
int parse_address(const char *what, const char *text, uint64_t *address,
		  struct error *err);

/**
 * parse_count() - A decimal number
 * @max:	largest number allowed; the smallest is 1
 * @count:	receives the number
 */
int parse_count(const char *what, const char *text, uint64_t max,
		uint64_t *count, struct error *err);

#endif /* FERRY_OPTIONS_VALUE_H */
