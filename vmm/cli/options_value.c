// SPDX-License-Identifier: MIT
/* options_value.c - Numbers, sizes and names as people write them */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options_value.h"

bool name_valid(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._-";
	size_t len = strlen(name);

	return len && len <= NAME_MAX_LEN && name[0] != '-' &&
	       strspn(name, allowed) == len;
}

/**
 * parse_number() - A number at the start of a text
 * @text:	the text
 * @base:	10, or 16 (with or without 0x)
 * @value:	where to put it
 * @end:	where to put what comes after it
 *
 * Unlike strtoull(3), takes no sign and no white space.
 *
 * Return: 0, -EINVAL (no digit), -ERANGE (does not fit)
 */
static int parse_number(const char *text, int base, uint64_t *value,
			const char **end)
{
	char *rest;

	if (base == 16 ? !isxdigit((unsigned char)*text) :
			 !isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &rest, base);
	*end = rest;
	return errno ? -ERANGE : 0;
}

/**
 * unit_shift() - The power of two that a unit stands for
 * @unit:	"", "M", "MB", "MiB" and so on, in upper or lower case
 *
 * Return: the power, or -1 if there is no such unit
 */
static int unit_shift(const char *unit)
{
	static const struct {
		char letter;
		int shift;
	} units[] = { { 'k', 10 }, { 'm', 20 }, { 'g', 30 }, { 't', 40 } };
	unsigned i;

	if (!*unit)
		return 20;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (tolower((unsigned char)*unit) != units[i].letter)
			continue;
		if (!unit[1] || !strcmp(unit + 1, "iB") ||
		    !strcmp(unit + 1, "ib"))
			return units[i].shift;
	}
	return -1;
}

int parse_size(const char *what, const char *text, uint64_t *bytes,
	       struct error *err)
{
	uint64_t value = 0;
	const char *unit;
	int shift = -1, rc;

	rc = parse_number(text, 10, &value, &unit);
	if (!rc)
		shift = unit_shift(unit);
	if (rc == -ERANGE || (shift >= 0 && value > UINT64_MAX >> shift))
		return error_set(err, ERANGE, "%s: %.64s is too much", what,
				 text);
	if (shift < 0)
		return error_set(err, EINVAL, "%s: '%.64s' is no size; write "
				 "for example 512M or 2GiB", what, text);

	*bytes = value << shift;
	return 0;
}

int parse_address(const char *what, const char *text, uint64_t *address,
		  struct error *err)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *end = "";
	int rc;

	rc = parse_number(hex ? text + 2 : text, hex ? 16 : 10, address, &end);
	if (rc == -ERANGE)
		return error_set(err, ERANGE, "%s: %.64s does not fit 64 bits",
				 what, text);
	if (rc || *end)
		return error_set(err, EINVAL, "%s: '%.64s' is no address; "
				 "write it as 0x1234000, or decimal", what,
				 text);
	return 0;
}

int parse_count(const char *what, const char *text, uint64_t max,
		uint64_t *count, struct error *err)
{
	const char *end = "";
	int rc;

	rc = parse_number(text, 10, count, &end);
	if (rc == -EINVAL || *end)
		return error_set(err, EINVAL, "%s: '%.64s' is no number", what,
				 text);
	if (rc || !*count || *count > max)
		return error_set(err, ERANGE, "%s: %.64s is not between 1 and "
				 "%llu", what, text, (unsigned long long)max);
	return 0;
}
