// SPDX-License-Identifier: MIT
/* options_value.c - Numbers and sizes on the command line (pure) */

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "options_value.h"

/* A fraction is in units of 2^-40: a byte of a TiB */
#define FRACTION_BITS	40
#define FRACTION_ONE	(1ull << FRACTION_BITS)

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

/* Return: power of two of "M", "MB", "MiB" and so on; -1 for another text */
static int unit_shift(const char *unit)
{
	static const char letters[] = "kmgt";
	const char *letter = strchr(letters, tolower((unsigned char)*unit));

	if (!*unit || !letter ||
	    (unit[1] && strcasecmp(unit + 1, "b") &&
	     strcasecmp(unit + 1, "ib")))
		return -1;
	return 10 * (int)(letter - letters + 1);
}

/* Bytes of ".5" of a unit, rounded down. *end: the byte after the digits */
static uint64_t parse_fraction(const char *text, const char **end)
{
	uint64_t parts = 0, whole = 1;

	*end = text;
	if (*text != '.' || !isdigit((unsigned char)text[1]))
		return 0;
	for (text++; isdigit((unsigned char)*text); text++) {
		/* More digits than a byte of a TiB needs */
		if (whole >= 1000000000000000)
			continue;
		parts = parts * 10 + (uint64_t)(*text - '0');
		whole *= 10;
	}
	*end = text;
	return (uint64_t)((unsigned __int128)parts * FRACTION_ONE / whole);
}

static int bad_size(const char *what, const char *text, struct error *err)
{
	return error_set(err, EINVAL, "%s: '%.64s' is not a size; "
			 "write for example 512M, 1.5G or 2GiB", what, text);
}

int parse_size(const char *what, const char *text, unsigned plain,
	       uint64_t *bytes, struct error *err)
{
	uint64_t value = 0, part;
	const char *unit;
	int shift, rc;

	if (!plain && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return parse_address(what, text, bytes, err);
	rc = parse_number(text, 10, &value, &unit);
	if (rc == -EINVAL)
		return bad_size(what, text, err);
	part = parse_fraction(unit, &unit);
	shift = *unit ? unit_shift(unit) : (int)plain;
	if (shift < 0 || (part && !shift))
		return bad_size(what, text, err);
	if (rc || value > UINT64_MAX >> shift)
		return error_set(err, ERANGE, "%s: %.64s is too large", what,
				 text);
	*bytes = (value << shift) + (part >> (FRACTION_BITS - shift));
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
