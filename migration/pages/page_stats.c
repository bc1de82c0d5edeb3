// SPDX-License-Identifier: MIT
/* page_stats.c - Statistics of the pages of one migration */

#include <string.h>

#include "page_stats.h"

void page_stats_clear(struct page_stats *s)
{
	memset((void *)s, 0, sizeof(*s));
}
