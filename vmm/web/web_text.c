// SPDX-License-Identifier: MIT
/* web_text.c - A guest's output as UTF-8 */

#include "web_text.h"

size_t web_text(char *to, const char *bytes, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		const unsigned char c = (unsigned char)bytes[i];

		if (c >= 0x80)
			to[len++] = '?';
		else if (c == '\n' || c == '\t' || (c >= ' ' && c != 0x7f))
			to[len++] = (char)c;
	}
	to[len] = '\0';
	return len;
}
