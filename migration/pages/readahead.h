/* SPDX-License-Identifier: MIT */
/*
 * readahead.h - How many pages to send behind one that was asked for (pure)
 *
 * Neighbours save a guest that walks its memory a wait for each page, and
 * cost one that jumps about time on every page, since they stand in front
 * of the next answer. So a stream of requests has to show that it walks: the
 * first answer comes alone, and as long as requests follow each other the number
 * behind each doubles.
 */
#ifndef FERRY_READAHEAD_H
#define FERRY_READAHEAD_H

#include <stddef.h>
#include <stdint.h>

#define READAHEAD_STREAMS	16
#define READAHEAD_MAX		32	/* pages behind one */
#define READAHEAD_GAP		8	/* pages a walk may leave out */

/**
 * struct stream - Requests that follow each other
 * @next:	page that would follow
 * @n:		pages sent behind the last one
 * @used:	when that was
 */
struct stream {
	size_t next, n;
	uint64_t used;
};

/** struct readahead - All streams; zeroed at the start */
struct readahead {
	struct stream stream[READAHEAD_STREAMS];
	uint64_t clock;
};

/**
 * readahead_pages() - A page was asked for: how many shall follow it?
 * @r:		the streams
 * @page:	which
 *
 * Return: 0 to READAHEAD_MAX
 */
size_t readahead_pages(struct readahead *r, size_t page);

#endif /* FERRY_READAHEAD_H */
