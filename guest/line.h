/* SPDX-License-Identifier: MIT */
/*
 * line.h - Lines of key=value words, strings, and numbers in text
 *
 * Used by both rings; compiled for ring 0.
 */
#ifndef GUEST_LINE_H
#define GUEST_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct line - A line under construction
 * @len:	bytes in @text; what does not fit is cut off
 * @text:	the line, without newline and terminating zero
 */
struct line {
	uint32_t len;
	char text[1020];
};

/**
 * line_begin() - Start a line, discarding its old contents
 * @l:		line
 * @kind:	first word
 */
void line_begin(struct line *l, const char *kind);

/**
 * line_text() - Append a string unchanged
 * @l:		line
 * @s:		string
 */
void line_text(struct line *l, const char *s);

/**
 * line_key() - Append " key="
 * @l:		line
 * @key:	key
 */
void line_key(struct line *l, const char *key);

/**
 * line_str() - Append " key=value" with a string
 * @l:		line
 * @key:	key
 * @value:	string without spaces
 */
void line_str(struct line *l, const char *key, const char *value);

/**
 * line_dec() - Append " key=value" with a decimal number
 * @l:		line
 * @key:	key
 * @value:	number
 */
void line_dec(struct line *l, const char *key, uint64_t value);

/**
 * line_hex() - Append " key=value" with a hexadecimal number
 * @l:		line
 * @key:	key
 * @value:	number, written with 0x and without leading zeroes
 */
void line_hex(struct line *l, const char *key, uint64_t value);

/**
 * line_number() - Append a decimal number
 * @l:		line
 * @value:	number
 */
void line_number(struct line *l, uint64_t value);

/**
 * text_equal() - Are two strings the same?
 * @a:		string
 * @b:		string
 */
bool text_equal(const char *a, const char *b);

/**
 * text_starts() - Does a string begin with another?
 * @s:		string
 * @prefix:	the other
 */
bool text_starts(const char *s, const char *prefix);

/**
 * text_number() - Read a whole string as a number
 * @s:		decimal, or hexadecimal after 0x
 * @value:	result, unchanged on failure
 *
 * Return: false when @s is empty, has any other character, or exceeds 64 bits
 */
bool text_number(const char *s, uint64_t *value);

/* As in C; the compiler generates calls to both */
void *memset(void *p, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);

#endif
