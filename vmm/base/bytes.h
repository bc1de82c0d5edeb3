/* SPDX-License-Identifier: MIT */
/*
 * bytes.h - Byte strings that grow, and bounds-checked reading of them
 *
 * All state that leaves the process is encoded here: little endian, field by
 * field, so that no struct of the host is on the wire. A writer that runs out
 * of memory, or a reader that runs out of bytes, sets @failed; later calls do
 * nothing. The caller checks @failed once, at the end.
 */
#ifndef FERRY_BYTES_H
#define FERRY_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "units.h"

/**
 * struct writer - A byte string that grows
 * @data:	the bytes, to be freed with writer_free()
 * @len:	bytes used
 * @cap:	bytes allocated
 * @failed:	an allocation failed: @data is not complete
 */
struct writer {
	uint8_t *data;
	size_t len, cap;
	bool failed;
};

/**
 * struct reader - A view of bytes that the caller owns
 * @data:	the bytes
 * @len:	bytes in @data
 * @pos:	bytes read so far
 * @failed:	a read went past the end
 */
struct reader {
	const uint8_t *data;
	size_t len, pos;
	bool failed;
};

/**
 * struct field - Position of a struct member, for put_fields()
 * @offset:	of the member
 * @size:	of one element: 1, 2, 4 or 8 bytes
 * @count:	number of elements
 */
struct field {
	uint16_t offset, size, count;
};

/* FIELD: a member that is a number. FIELD_ARRAY: an array of numbers */
#define FIELD(type, member) \
	{ offsetof(type, member), sizeof(((type *)0)->member), 1 }
#define FIELD_ARRAY(type, member) \
	{ offsetof(type, member), sizeof(((type *)0)->member[0]), \
	  ARRAY_SIZE(((type *)0)->member) }

/** put_u8() and so on - Append a number, little endian */
void put_u8(struct writer *w, uint8_t v);
void put_u16(struct writer *w, uint16_t v);
void put_u32(struct writer *w, uint32_t v);
void put_u64(struct writer *w, uint64_t v);

/**
 * put_bytes() - Append bytes as they are
 * @w:		the writer
 * @p:		the bytes
 * @n:		number of bytes
 */
void put_bytes(struct writer *w, const void *p, size_t n);

/**
 * put_fields() - Append the struct members that a table lists
 * @w:		the writer
 * @f:		the table
 * @n:		its length
 * @base:	the struct
 */
void put_fields(struct writer *w, const struct field *f, size_t n,
		const void *base);

/**
 * put_open() - Start a part whose length is not known yet
 * @w:		the writer
 *
 * Return: a mark for put_close()
 */
size_t put_open(struct writer *w);

/**
 * put_close() - Fill in the 32 bit length of a part
 * @w:		the writer
 * @mark:	what put_open() returned
 */
void put_close(struct writer *w, size_t mark);

/** writer_free() - Free the bytes; the writer is empty again */
void writer_free(struct writer *w);

/** get_u8() and so on - Read a number, little endian. Return: 0 past the end */
uint8_t get_u8(struct reader *r);
uint16_t get_u16(struct reader *r);
uint32_t get_u32(struct reader *r);
uint64_t get_u64(struct reader *r);

/**
 * get_bytes() - Read bytes as they are
 * @r:		the reader
 * @n:		number of bytes
 *
 * Return: pointer to them, or NULL past the end (@r->failed is set)
 */
const uint8_t *get_bytes(struct reader *r, size_t n);

/**
 * get_fields() - Read the struct members that a table lists
 * @r:		the reader
 * @f:		the table
 * @n:		its length
 * @base:	the struct
 */
void get_fields(struct reader *r, const struct field *f, size_t n,
		void *base);

/**
 * get_part() - Read a part that put_open() and put_close() wrote
 * @r:		the reader
 *
 * Return: a reader of that part; past the end an empty one with @failed set
 */
struct reader get_part(struct reader *r);

/** reader_done() - Return: all bytes were read, and no read failed */
bool reader_done(const struct reader *r);

#endif /* FERRY_BYTES_H */
