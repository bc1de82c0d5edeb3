// SPDX-License-Identifier: MIT
/* stalls.c - A histogram of stalls in one line (pure) */

#include <stdio.h>
#include <stdlib.h>

#include "stalls.h"

static double number_of(const json_t *buckets, size_t i, const char *name)
{
	return json_number_value(json_object_get(json_array_get(buckets, i),
						 name));
}

/* A limit in µs; 0: there is none */
static void print_limit(FILE *out, double us)
{
	if (us >= 1e6)
		fprintf(out, "%.2g s", us / 1e6);
	else if (us >= 1000)
		fprintf(out, "%.0f ms", us / 1000);
	else
		fprintf(out, "%.0f us", us);
}

/* U+2581 to U+2588 are bars of one to eight eighths */
static void print_bar(FILE *out, double count, double most)
{
	int eighths = (int)(8 * count / most);

	if (count > 0)
		fprintf(out, "\xe2\x96%c", 0x80 + eighths +
			(eighths < 8 * count / most));
	else
		fputc(' ', out);
}

char *stalls_line(const json_t *buckets)
{
	size_t n = json_array_size(buckets), first = n, last = 0, size;
	double most = 0, count;
	char *text = NULL;
	FILE *out;

	for (size_t i = 0; i < n; i++) {
		count = number_of(buckets, i, "count");
		first = count > 0 && first == n ? i : first;
		last = count > 0 ? i : last;
		most = count > most ? count : most;
	}
	out = most > 0 ? open_memstream(&text, &size) : NULL;
	if (!out)
		return NULL;
	print_limit(out, first ? number_of(buckets, first - 1, "below") : 0);
	fputc(' ', out);
	for (size_t i = first; i <= last; i++)
		print_bar(out, number_of(buckets, i, "count"), most);
	fputc(' ', out);
	if (number_of(buckets, last, "below") > 0)
		print_limit(out, number_of(buckets, last, "below"));
	else
		fputs("and more", out);
	fclose(out);
	return text;
}
