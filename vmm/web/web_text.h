/* SPDX-License-Identifier: MIT */
/*
 * web_text.h - A guest's output as UTF-8 (pure)
 */
#ifndef FERRY_WEB_TEXT_H
#define FERRY_WEB_TEXT_H

#include <stddef.h>

/* Bytes for the text of n bytes of output, with the terminating zero */
#define WEB_TEXT_SIZE(n)	((n) + 1)

/**
 * web_text() - Make text of bytes
 * @to:		WEB_TEXT_SIZE(@n) bytes, filled in: ASCII without control
 *		characters but tab and newline. A byte of 0x80 and above becomes
 *		'?', other control characters vanish
 * @bytes:	the output; may be cut anywhere
 * @n:		how many
 *
 * Return: length of the text
 */
size_t web_text(char *to, const char *bytes, size_t n);

#endif /* FERRY_WEB_TEXT_H */
