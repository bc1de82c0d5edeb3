// SPDX-License-Identifier: MIT
/* seeds.c - The seeds of a fuzzer: texts, and as files */

#include <string.h>

#include "fuzz.h"

size_t fuzz_text_seed(const char *const *seeds, unsigned i, uint8_t *to)
{
	size_t n;

	while (*seeds && i) {
		seeds++;
		i--;
	}
	n = *seeds ? strlen(*seeds) : 0;
	memcpy(to, *seeds ? *seeds : "", n);
	return n;
}

static int write_seed(const char *dir, unsigned i, const uint8_t *data,
		      size_t n)
{
	char path[4096];
	FILE *f;
	int rc;

	snprintf(path, sizeof(path), "%s/seed-%u", dir, i);
	f = fopen(path, "wb");
	rc = !f || fwrite(data, 1, n, f) != n;
	if (f)
		rc |= fclose(f);
	if (rc)
		perror(path);
	return rc;
}

int fuzz_write_seeds(const char *dir)
{
	static uint8_t buf[FUZZ_INPUT_MAX];
	size_t n;

	for (unsigned i = 0; (n = fuzz_seed(i, buf)); i++)
		if (write_seed(dir, i, buf, n))
			return 1;
	return 0;
}
