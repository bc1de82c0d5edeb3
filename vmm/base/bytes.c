// SPDX-License-Identifier: MIT
/* bytes.c - Byte strings that grow, and bounds-checked reading of them */

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

static uint8_t *writer_grow(struct writer *w, size_t n)
{
	size_t cap = w->cap ? w->cap : 256;
	uint8_t *p;

	if (w->failed)
		return NULL;
	while (cap - w->len < n)
		cap *= 2;
	if (cap != w->cap) {
		p = realloc(w->data, cap);
		if (!p) {
			w->failed = true;
			return NULL;
		}
		w->data = p;
		w->cap = cap;
	}
	p = w->data + w->len;
	w->len += n;
	return p;
}

static void put_le(struct writer *w, uint64_t v, unsigned size)
{
	uint8_t *p = writer_grow(w, size);

	for (unsigned i = 0; p && i < size; i++, v >>= 8)
		p[i] = (uint8_t)v;
}

void put_u8(struct writer *w, uint8_t v)	{ put_le(w, v, 1); }
void put_u16(struct writer *w, uint16_t v)	{ put_le(w, v, 2); }
void put_u32(struct writer *w, uint32_t v)	{ put_le(w, v, 4); }
void put_u64(struct writer *w, uint64_t v)	{ put_le(w, v, 8); }

void put_bytes(struct writer *w, const void *p, size_t n)
{
	uint8_t *to = n ? writer_grow(w, n) : NULL;

	if (to)
		memcpy(to, p, n);
}

/* An x86 host is little endian: members are copied as they are */
void put_fields(struct writer *w, const struct field *f, size_t n,
		const void *base)
{
	for (; n--; f++)
		put_bytes(w, (const char *)base + f->offset,
			  (size_t)f->size * f->count);
}

size_t put_open(struct writer *w)
{
	put_u32(w, 0);
	return w->len;
}

void put_close(struct writer *w, size_t mark)
{
	uint32_t n = (uint32_t)(w->len - mark);

	for (unsigned i = 0; !w->failed && i < 4; i++, n >>= 8)
		w->data[mark - 4 + i] = (uint8_t)n;
}

void writer_free(struct writer *w)
{
	free(w->data);
	*w = (struct writer){ 0 };
}

const uint8_t *get_bytes(struct reader *r, size_t n)
{
	const uint8_t *p = r->data + r->pos;

	if (r->failed || n > r->len - r->pos) {
		r->failed = true;
		return NULL;
	}
	r->pos += n;
	return p;
}

static uint64_t get_le(struct reader *r, unsigned size)
{
	const uint8_t *p = get_bytes(r, size);
	uint64_t v = 0;

	for (unsigned i = size; p && i--; )
		v = v << 8 | p[i];
	return v;
}

uint8_t get_u8(struct reader *r)	{ return (uint8_t)get_le(r, 1); }
uint16_t get_u16(struct reader *r)	{ return (uint16_t)get_le(r, 2); }
uint32_t get_u32(struct reader *r)	{ return (uint32_t)get_le(r, 4); }
uint64_t get_u64(struct reader *r)	{ return get_le(r, 8); }

void get_fields(struct reader *r, const struct field *f, size_t n,
		void *base)
{
	for (; n--; f++) {
		size_t bytes = (size_t)f->size * f->count;
		const uint8_t *p = get_bytes(r, bytes);

		if (p)
			memcpy((char *)base + f->offset, p, bytes);
	}
}

struct reader get_part(struct reader *r)
{
	uint32_t n = get_u32(r);
	const uint8_t *p = get_bytes(r, n);

	return p ? (struct reader){ .data = p, .len = n }
		 : (struct reader){ .failed = true };
}

bool reader_done(const struct reader *r)
{
	return !r->failed && r->pos == r->len;
}
