/* SPDX-License-Identifier: MIT */
/*
 * bytes.h - Growing byte strings, and careful reading of them
 *
 * Everything that leaves the process as state goes through here: little
 * endian, field by field, so that no struct of this host's is on the wire.
 * Both halves remember their first failure instead of returning it from
 * every call: a writer that ran out of memory, a reader that ran out of
 * bytes. Whoever used one asks at the end.
 */
#ifndef FERRY_BYTES_H
#define FERRY_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct writer - A byte string that grows
 * @data:	the bytes, to be freed with writer_free()
 * @len:	how many there are
 * @cap:	how many fit
 * @failed:	memory ran out: @data is not complete
 */
struct writer {
	uint8_t *data;
	size_t len, cap;
	bool failed;
};

/**
 * struct reader - A view of bytes that somebody else owns
 * @data:	the bytes
 * @len:	how many there are
 * @pos:	how many were read
 * @failed:	more was asked for than there was
 */
struct reader {
	const uint8_t *data;
	size_t len, pos;
	bool failed;
};

/**
 * struct field - Where a member of a struct is, for put_fields()
 * @offset:	of the member
 * @size:	of one element: 1, 2, 4 or 8 bytes
 * @count:	number of elements
 */
struct field {
	uint16_t offset, size, count;
};

/* A member that is a number, and one that is an array of numbers */
#define FIELD(type, member) \
	{ offsetof(type, member), sizeof(((type *)0)->member), 1 }
#define FIELD_ARRAY(type, member) \
	{ offsetof(type, member), sizeof(((type *)0)->member[0]), \
	  sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0]) }

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/** put_u8() and so on - Append a number, little endian */
void put_u8(struct writer *w, uint8_t v);
void put_u16(struct writer *w, uint16_t v);
void put_u32(struct writer *w, uint32_t v);
void put_u64(struct writer *w, uint64_t v);

/**
 * put_bytes() - Append bytes as they are
 * @w:		the writer
 * @p:		the bytes
 * @n:		how many
 */
void put_bytes(struct writer *w, const void *p, size_t n);

/**
 * put_fields() - Append the members of a struct that a table names
 * @w:		the writer
 * @f:		the table
 * @n:		its length
 * @base:	the struct
 */
void put_fields(struct writer *w, const struct field *f, size_t n,
		const void *base);

/**
 * put_open() - Begin a part whose length is not known yet
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

/** get_u8() and so on - Read a number, little endian; 0 past the end */
uint8_t get_u8(struct reader *r);
uint16_t get_u16(struct reader *r);
uint32_t get_u32(struct reader *r);
uint64_t get_u64(struct reader *r);

/**
 * get_bytes() - Read bytes as they are
 * @r:		the reader
 * @n:		how many
 *
 * Return: where they are, or NULL if there aren't as many (and @r failed)
 */
const uint8_t *get_bytes(struct reader *r, size_t n);

/**
 * get_fields() - Read the members of a struct that a table names
 * @r:		the reader
 * @f:		the table
 * @n:		its length
 * @base:	the struct
 */
void get_fields(struct reader *r, const struct field *f, size_t n,
		void *base);

/**
 * get_part() - Read a part that put_open() and put_close() made
 * @r:		the reader
 *
 * Return: a reader of just that part; an empty, failed one past the end
 */
struct reader get_part(struct reader *r);

/** reader_done() - Was everything read, and nothing asked for in vain? */
bool reader_done(const struct reader *r);

#endif /* FERRY_BYTES_H */
