/* SPDX-License-Identifier: MIT */
/*
 * options_value.h - Numbers, sizes and names as people write them
 *
 * Pure. Each takes the option's name for its error text.
 */
#ifndef FERRY_OPTIONS_VALUE_H
#define FERRY_OPTIONS_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/error.h"

#define NAME_MAX_LEN 64

/**
 * name_valid() - Can this be the name of a machine?
 * @name:	letters, digits, '.', '_' and '-', 1 to NAME_MAX_LEN of them,
 *		and no '-' in front
 *
 * Return: true if so
 */
bool name_valid(const char *name);

/**
 * parse_size() - A size of memory
 * @what:	what it is for, e.g. "--memory"
 * @text:	number with K, M, G or T (also KiB, MiB...: all powers of 1024);
 *		a plain number is MiB, as with QEMU's -m
 * @bytes:	where to put it
 * @err:	what is wrong
 *
 * Return: 0, -EINVAL, -ERANGE (does not fit 64 bits)
 */
int parse_size(const char *what, const char *text, uint64_t *bytes,
	       struct error *err);

/**
 * parse_address() - A guest-physical address
 * @what:	what it is for
 * @text:	decimal, or hexadecimal after 0x
 * @address:	where to put it
 * @err:	what is wrong
 *
 * Return: 0, -EINVAL, -ERANGE
 */
int parse_address(const char *what, const char *text, uint64_t *address,
		  struct error *err);

/**
 * parse_count() - A number of things, at least 1
 * @what:	what it is for
 * @text:	decimal
 * @max:	the largest that is allowed
 * @count:	where to put it
 * @err:	what is wrong
 *
 * Return: 0, -EINVAL, -ERANGE (0, or above @max)
 */
int parse_count(const char *what, const char *text, uint64_t max,
		uint64_t *count, struct error *err);

#endif /* FERRY_OPTIONS_VALUE_H */
