/* SPDX-License-Identifier: MIT */
/*
 * console.h - key=value lines on the serial port, from either ring
 */
#ifndef GUEST_CONSOLE_H
#define GUEST_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line in the making; what does not fit is cut off */
struct line {
	uint32_t len;
	char text[1020];
};

void line_begin(struct line *l, const char *kind);
void line_text(struct line *l, const char *s);
void line_key(struct line *l, const char *key);
void line_str(struct line *l, const char *key, const char *value);
void line_dec(struct line *l, const char *key, uint64_t value);
void line_hex(struct line *l, const char *key, uint64_t value);
void line_number(struct line *l, uint64_t value);
void line_end(struct line *l);

void console_init(void);
int console_getc(void);
void console_half(const char *s);
void console_rest(const char *s);
void console_seize(void);
void debug_exit(uint32_t code) __attribute__((noreturn));

#define PANIC_PANICKED		1
#define PANIC_CRASH_LOADED	2
void panic_ring(uint8_t bits);
void reset(bool by_keyboard);

bool text_equal(const char *a, const char *b);
bool text_starts(const char *s, const char *prefix);
bool text_number(const char *s, uint64_t *value);
void *memset(void *p, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);

#endif
