// SPDX-License-Identifier: MIT
/*
 * script_mutate.c - Change a script by records
 *
 * Bytes that change at random break the records that follow. Here a record is
 * removed, repeated, moved, invented, or changed within its bounds, and mostly
 * the length in a message's header fits its payload again.
 */

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "script.h"

#define RECORDS_MAX	1024
#define GROWTH		64	/* of one record */

/* Of libFuzzer; without it scripts are not mutated by this file */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max)
	__attribute__((weak));

/**
 * struct cut - A script cut into records
 * @data, @size, @max:	the script, and room
 * @at:		where each record starts; after the last one the end
 * @n:		records
 */
struct cut {
	uint8_t *data;
	size_t size, max;
	size_t at[RECORDS_MAX + 1], n;
};

static void cut_script(struct cut *c)
{
	size_t pos = 0;

	for (c->n = 0; pos < c->size && c->n < RECORDS_MAX; c->n++) {
		c->at[c->n] = pos;
		pos += script_record(c->data + pos, c->size - pos);
	}
	c->at[c->n] = pos;
}

static size_t record_size(const struct cut *c, size_t i)
{
	return c->at[i + 1] - c->at[i];
}

/* Put @n bytes in the place of record @i; @i == @c->n: at the end */
static void replace_record(struct cut *c, size_t i, const uint8_t *p, size_t n)
{
	size_t old = i < c->n ? record_size(c, i) : 0;
	uint8_t *to = c->data + c->at[i];

	if (c->size - old + n > c->max)
		return;
	memmove(to + n, to + old, c->size - c->at[i] - old);
	memcpy(to, p, n);
	c->size += n - old;
}

static void insert_record(struct cut *c, size_t i, const uint8_t *p, size_t n)
{
	uint8_t *to = c->data + c->at[i];

	if (c->size + n > c->max)
		return;
	memmove(to + n, to, c->size - c->at[i]);
	memcpy(to, p, n);
	c->size += n;
}

static void repeat_record(struct cut *c, size_t i, size_t at)
{
	size_t n = record_size(c, i);
	uint8_t *copy = malloc(n);

	CHECK(copy);
	memcpy(copy, c->data + c->at[i], n);
	insert_record(c, at, copy, n);
	free(copy);
}

static void swap_records(struct cut *c, size_t i)
{
	size_t a = record_size(c, i), b = record_size(c, i + 1);
	uint8_t *p = c->data + c->at[i], *copy = malloc(a);

	CHECK(copy);
	memcpy(copy, p, a);
	memmove(p, p + a, b);
	memcpy(p + b, copy, a);
	free(copy);
}

static void invent_record(struct cut *c, size_t at, unsigned seed)
{
	uint8_t op = (uint8_t)(SCRIPT_PAGES + seed % (SCRIPT_OPS - 1));
	uint8_t p[5] = {
		(uint8_t)(op << 3 | (seed >> 4 & 3)),
		(uint8_t)((seed >> 8) % WIRE_MSG_TYPES),
		(uint8_t)(seed >> 13), (uint8_t)(seed >> 21 & 3),
		(uint8_t)(1 + (seed >> 23) % 64),
	};

	insert_record(c, at, p, script_record(p, sizeof(p)));
}

/* Of SEND the payload, with its lengths; of another record its arguments */
static void change_record(struct cut *c, size_t i, unsigned seed)
{
	size_t n = record_size(c, i), from = 1;
	bool sends = (c->data[c->at[i]] >> 3) % SCRIPT_OPS == SCRIPT_SEND &&
		     n > 3;
	uint8_t *copy = malloc(n + GROWTH);

	CHECK(copy);
	memcpy(copy, c->data + c->at[i], n);
	if (sends)
		from = n > 3 + WIRE_HEADER && seed % 4 ? 3 + WIRE_HEADER : 3;
	if (n > from)
		n = from + LLVMFuzzerMutate(copy + from, n - from,
					    sends ? n - from + GROWTH
						  : n - from);
	if (sends) {
		copy[1] = (uint8_t)(n - 3);
		copy[2] = (uint8_t)((n - 3) >> 8);
		if (from > 3)
			for (unsigned k = 0; k < 4; k++)
				copy[3 + k] = (uint8_t)((n - from) >> 8 * k);
	}
	replace_record(c, i, copy, n);
	free(copy);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned seed)
{
	struct cut c = { .data = data, .size = size, .max = max };
	unsigned what = seed % 10, more = seed / 10;
	size_t i, at;

	cut_script(&c);
	if (!c.n || c.size > max || !what)
		return LLVMFuzzerMutate(data, size, max);
	i = more % c.n;
	at = more / c.n % (c.n + 1);
	if (what == 1)
		replace_record(&c, i, data, 0);
	else if (what == 2)
		repeat_record(&c, i, at);
	else if (what == 3 && i + 1 < c.n)
		swap_records(&c, i);
	else if (what == 4)
		invent_record(&c, at, (unsigned)rand());
	else
		change_record(&c, i, more);
	return c.size;
}
