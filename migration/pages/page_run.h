/* SPDX-License-Identifier: MIT */
/* page_run.h - Chunks of pages; what a destination has, as runs of pages (pure) */
#ifndef FERRY_PAGE_RUN_H
#define FERRY_PAGE_RUN_H

#include <stddef.h>

/* Pages to a chunk: 2 MiB, a huge page. The unit of push threads and of tables */
#define CHUNK_PAGES	512u

/* What a destination has of a page. The numbers are those of REPORT */
enum page_have {
	HAVE_ABSENT,		/* it needs the source: never in a REPORT */
	HAVE_PRESENT,
	HAVE_ZERO,		/* known to be zeroes, touched or not */
	HAVE_POISONED,
	HAVE_STAGED,		/* of a huge page that is not complete */
	PAGE_HAVES
};

/**
 * struct page_run - A run of pages that are alike
 * @first:	first page, by offset in RAM
 * @pages:	how many
 * @have:	what the destination has of each
 */
struct page_run {
	size_t first, pages;
	enum page_have have;
};

#endif /* FERRY_PAGE_RUN_H */
