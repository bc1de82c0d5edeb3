// SPDX-License-Identifier: MIT
/*
 * bench-limits: the answer
 *
 * One JSON object, collected in memory and printed whole at the end, so that
 * a run that fails half way prints none. Each figure also goes to stderr as
 * a line for people.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench-limits.h"

#define MAX_DEPTH	8

static struct {
	FILE *out;
	char *text;
	size_t len;
	int depth;
	bool first;			/* nothing yet in this object */
	const char *name[MAX_DEPTH];	/* keys of the open objects */
} json;

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/**
 * spread_add() - Keep the figure of one more run
 * @s:		Figures so far; no more than MAX_RUNS are kept
 * @v:		The new one
 */
void spread_add(struct spread *s, double v)
{
	if (s->n < MAX_RUNS)
		s->v[s->n++] = v;
}

/**
 * spread_median() - The middle figure
 * @s:		At least one figure
 *
 * Return: the median; of an even number, the mean of the middle two
 */
double spread_median(const struct spread *s)
{
	struct spread sorted = *s;

	qsort(sorted.v, sorted.n, sizeof(sorted.v[0]), by_value);
	return (sorted.v[(s->n - 1) / 2] + sorted.v[s->n / 2]) / 2;
}

/**
 * spread_min() - The smallest figure
 * @s:		At least one figure
 *
 * Return: the smallest
 */
double spread_min(const struct spread *s)
{
	double v = s->v[0];
	int i;

	for (i = 1; i < s->n; i++)
		v = s->v[i] < v ? s->v[i] : v;
	return v;
}

/**
 * spread_max() - The largest figure
 * @s:		At least one figure
 *
 * Return: the largest
 */
double spread_max(const struct spread *s)
{
	double v = s->v[0];
	int i;

	for (i = 1; i < s->n; i++)
		v = s->v[i] > v ? s->v[i] : v;
	return v;
}

static void put_string(const char *s)
{
	fputc('"', json.out);
	for (; *s; s++) {
		unsigned char c = *s;

		if (c < 0x20)
			fprintf(json.out, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			fprintf(json.out, "\\%c", c);
		else
			fputc(c, json.out);
	}
	fputc('"', json.out);
}

static void put_key(const char *key)
{
	if (!json.first)
		fputc(',', json.out);
	json.first = false;
	fprintf(json.out, "\n%*s", 2 * json.depth, "");
	put_string(key);
	fputs(": ", json.out);
}

/**
 * json_say() - Print a line for people on stderr
 * @key:	Key of what it is about, in the open object
 * @fmt:	printf() format of what to say, and its arguments
 *
 * The line begins with the keys that lead there.
 */
void json_say(const char *key, const char *fmt, ...)
{
	va_list ap;
	int i;

	for (i = 1; i < json.depth; i++)
		fprintf(stderr, "%s ", json.name[i]);
	fprintf(stderr, "%s: ", key);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/**
 * json_start() - Begin the answer
 */
void json_start(void)
{
	json.out = open_memstream(&json.text, &json.len);
	if (!json.out)
		die("no memory for the answer");
	fputc('{', json.out);
	json.depth = 1;
	json.first = true;
}

/**
 * json_open() - Begin an object within the one that is open
 * @key:	Its key; must stay valid until json_close()
 */
void json_open(const char *key)
{
	if (json.depth == MAX_DEPTH)
		die("the answer is nested too deep at \"%s\"", key);
	put_key(key);
	fputc('{', json.out);
	json.name[json.depth++] = key;
	json.first = true;
}

/**
 * json_close() - End the object that was opened last
 */
void json_close(void)
{
	json.depth--;
	fprintf(json.out, "\n%*s}", 2 * json.depth, "");
	json.first = false;
}

/**
 * json_number() - Add a count to the open object
 * @key:	Key
 * @v:		Value, a whole number
 */
void json_number(const char *key, uint64_t v)
{
	put_key(key);
	fprintf(json.out, "%" PRIu64, v);
}

/**
 * json_string() - Add a string to the open object
 * @key:	Key
 * @v:		Value
 */
void json_string(const char *key, const char *v)
{
	put_key(key);
	put_string(v);
}

/**
 * json_figure() - Add a measured number to the open object
 * @key:	Key
 * @v:		Value; three decimals are kept
 */
void json_figure(const char *key, double v)
{
	put_key(key);
	fprintf(json.out, "%.3f", v);
}

/**
 * json_spread() - Add median, min and max of a figure to the open object
 * @key:	Key
 * @s:		At least one figure
 */
void json_spread(const char *key, const struct spread *s)
{
	double median = spread_median(s);
	double lo = spread_min(s), hi = spread_max(s);

	json_say(key, "%.4g (%.4g to %.4g)", median, lo, hi);
	json_open(key);
	json_figure("median", median);
	json_figure("min", lo);
	json_figure("max", hi);
	json_close();
}

/**
 * json_unavailable() - Say why a figure cannot be had on this machine
 * @key:	Key of the figure
 * @reason:	Why
 */
void json_unavailable(const char *key, const char *reason)
{
	json_say(key, "unavailable: %s", reason);
	json_open(key);
	json_string("unavailable", reason);
	json_close();
}

/**
 * json_print() - End the answer and print it on stdout
 */
void json_print(void)
{
	fputs("\n}\n", json.out);
	if (fclose(json.out) || fputs(json.text, stdout) == EOF ||
	    fflush(stdout))
		die("cannot write the answer to standard output");
	free(json.text);
}
