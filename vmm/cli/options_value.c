// SPDX-License-Identifier: MIT
/* options_value.c - Numbers and sizes on the command line (pure) */

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "options_value.h"

/* Unlike strtoull(3), takes neither a sign nor white space */
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

/* Return: power of two of "", "M", "MiB" and so on; -1 for another text */
static int unit_shift(const char *unit)
{
	static const char letters[] = "kmgt";
	const char *letter;

	if (!*unit)
		return 20;
	letter = strchr(letters, tolower((unsigned char)*unit));
	if (!letter || (unit[1] && strcmp(unit + 1, "iB") &&
			strcmp(unit + 1, "ib")))
		return -1;
	return 10 * (int)(letter - letters + 1);
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
		return error_set(err, ERANGE, "%s: %.64s is too large", what,
				 text);
	if (shift < 0)
		return error_set(err, EINVAL, "%s: '%.64s' is not a size; "
				 "write for example 512M or 2GiB", what, text);

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
		return error_set(err, EINVAL, "%s: '%.64s' is not an address; "
				 "write for example 0x1234000, or a decimal "
				 "number", what, text);
	return 0;
}

int parse_count(const char *what, const char *text, uint64_t max,
		uint64_t *count, struct error *err)
{
	const char *end = "";
	int rc;

	rc = parse_number(text, 10, count, &end);
	if (rc == -EINVAL || *end)
		return error_set(err, EINVAL, "%s: '%.64s' is not a number",
				 what, text);
	if (rc || !*count || *count > max)
		return error_set(err, ERANGE, "%s: %.64s is not between 1 and "
				 "%llu", what, text, (unsigned long long)max);
	return 0;
}
