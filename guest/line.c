// SPDX-License-Identifier: MIT
/*
 * line.c - Making lines of key=value, and reading numbers
 *
 * Compiled for ring 0, used by both rings.
 */
#include "console.h"

static void line_char(struct line *l, char c)
{
	if (l->len < sizeof(l->text) - 1)
		l->text[l->len++] = c;
}

/**
 * line_begin() - Start a line, forgetting what it held
 * @l:		line
 * @kind:	first word
 */
void line_begin(struct line *l, const char *kind)
{
	l->len = 0;
	line_text(l, kind);
}

/**
 * line_text() - Append a string as it is
 * @l:		line
 * @s:		string
 */
void line_text(struct line *l, const char *s)
{
	while (*s)
		line_char(l, *s++);
}

/**
 * line_key() - Append " key="
 * @l:		line
 * @key:	key
 */
void line_key(struct line *l, const char *key)
{
	line_char(l, ' ');
	line_text(l, key);
	line_char(l, '=');
}

/**
 * line_str() - Append " key=value" with a string
 * @l:		line
 * @key:	key
 * @value:	string without spaces
 */
void line_str(struct line *l, const char *key, const char *value)
{
	line_key(l, key);
	line_text(l, value);
}

/**
 * line_number() - Append a decimal number
 * @l:		line
 * @value:	number
 */
void line_number(struct line *l, uint64_t value)
{
	char digit[20];
	int n = 0;

	do {
		digit[n++] = '0' + value % 10;
		value /= 10;
	} while (value);
	while (n)
		line_char(l, digit[--n]);
}

/**
 * line_dec() - Append " key=value" with a decimal number
 * @l:		line
 * @key:	key
 * @value:	number
 */
void line_dec(struct line *l, const char *key, uint64_t value)
{
	line_key(l, key);
	line_number(l, value);
}

/**
 * line_hex() - Append " key=value" with a hexadecimal number
 * @l:		line
 * @key:	key
 * @value:	number, written with 0x and without leading zeroes
 */
void line_hex(struct line *l, const char *key, uint64_t value)
{
	int shift = 60;

	line_key(l, key);
	line_text(l, "0x");
	while (shift && !(value >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		line_char(l, "0123456789abcdef"[(value >> shift) & 15]);
}

/**
 * text_equal() - Are two strings the same?
 * @a:		string
 * @b:		string
 */
bool text_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/**
 * text_starts() - Does a string begin with another?
 * @s:		string
 * @prefix:	the other
 */
bool text_starts(const char *s, const char *prefix)
{
	while (*prefix && *s == *prefix) {
		s++;
		prefix++;
	}
	return !*prefix;
}

static int digit_value(char c, unsigned int base)
{
	int v = -1;

	if (c >= '0' && c <= '9')
		v = c - '0';
	else if (c >= 'a' && c <= 'f')
		v = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		v = c - 'A' + 10;
	return v < (int)base ? v : -1;
}

/**
 * text_number() - Read a whole string as a number
 * @s:		decimal, or hexadecimal after 0x
 * @value:	result, untouched on failure
 *
 * Return: false when @s is empty, has any other character, or is too large
 */
bool text_number(const char *s, uint64_t *value)
{
	unsigned int base = 10;
	uint64_t v = 0, next;

	if (s[0] == '0' && s[1] == 'x') {
		base = 16;
		s += 2;
	}
	if (!*s)
		return false;
	for (; *s; s++) {
		int d = digit_value(*s, base);

		if (d < 0 || __builtin_mul_overflow(v, base, &next) ||
		    __builtin_add_overflow(next, (uint64_t)d, &v))
			return false;
	}
	*value = v;
	return true;
}

/**
 * memset() - As in C; the compiler calls it
 * @p:		memory
 * @c:		byte
 * @n:		length
 *
 * Return: @p
 */
void *memset(void *p, int c, size_t n)
{
	void *at = p;

	asm volatile("rep stosb" : "+D" (at), "+c" (n) : "a" (c) : "memory");
	return p;
}

/**
 * memcpy() - As in C; the compiler calls it
 * @to:		destination
 * @from:	source
 * @n:		length
 *
 * Return: @to
 */
void *memcpy(void *to, const void *from, size_t n)
{
	void *at = to;

	asm volatile("rep movsb" : "+D" (at), "+S" (from), "+c" (n) : :
		     "memory");
	return to;
}
