/* SPDX-License-Identifier: MIT */
/*
 * options_value.h - Numbers and sizes on the command line (pure)
 *
 * Each function takes the option's name for its error text.
 */
#ifndef FERRY_OPTIONS_VALUE_H
#define FERRY_OPTIONS_VALUE_H

#include <stdint.h>

#include "vmm/base/error.h"

/**
 * parse_size() - Parse a size of memory
 * @what:	option, e.g. "--memory"
 * @text:	number with K, M, G or T (also KiB, MiB...: all powers of 1024);
 *		a plain number is MiB, as with QEMU's -m
 * @bytes:	receives the size
 * @err:	what is wrong with @text
 *
 * Return: 0, -EINVAL, -ERANGE (does not fit 64 bits)
 */
int parse_size(const char *what, const char *text, uint64_t *bytes,
	       struct error *err);

/**
 * parse_address() - Parse a guest-physical address
 * @what:	option
 * @text:	decimal, or hexadecimal after 0x
 * @address:	receives the address
 * @err:	what is wrong with @text
 *
 * Return: 0, -EINVAL, -ERANGE (does not fit 64 bits)
 */
int parse_address(const char *what, const char *text, uint64_t *address,
		  struct error *err);

/**
 * parse_count() - Parse a number from 1 up
 * @what:	option
 * @text:	decimal
 * @max:	largest number allowed
 * @count:	receives the number
 * @err:	what is wrong with @text
 *
 * Return: 0, -EINVAL, -ERANGE (0, or above @max)
 */
int parse_count(const char *what, const char *text, uint64_t max,
		uint64_t *count, struct error *err);

#endif /* FERRY_OPTIONS_VALUE_H */
