// SPDX-License-Identifier: MIT
/*
 * line.c - Lines of key=value words, strings, and numbers in text
 */
#include "line.h"

static void line_char(struct line *l, char c)
{
	if (l->len < sizeof(l->text) - 1)
		l->text[l->len++] = c;
}

void line_begin(struct line *l, const char *kind)
{
	l->len = 0;
	line_text(l, kind);
}

void line_text(struct line *l, const char *s)
{
	while (*s)
		line_char(l, *s++);
}

void line_key(struct line *l, const char *key)
{
	line_char(l, ' ');
	line_text(l, key);
	line_char(l, '=');
}

void line_str(struct line *l, const char *key, const char *value)
{
	line_key(l, key);
	line_text(l, value);
}

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

void line_dec(struct line *l, const char *key, uint64_t value)
{
	line_key(l, key);
	line_number(l, value);
}

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

bool text_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

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

void *memset(void *p, int c, size_t n)
{
	void *at = p;

	asm volatile("rep stosb" : "+D" (at), "+c" (n) : "a" (c) : "memory");
	return p;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *at = to;

	asm volatile("rep movsb" : "+D" (at), "+S" (from), "+c" (n) : :
		     "memory");
	return to;
}
