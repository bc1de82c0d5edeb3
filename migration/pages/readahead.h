/* SPDX-License-Identifier: MIT */
/*
 * readahead.h - How many pages to send after a requested one (pure)
 *
 * Part of what a request asks for (answer_size.h). A guest that walks through its
 * memory saves a fault for each neighbour that is sent. A guest that jumps loses
 * time on every fault, because neighbours precede the next answer in the socket.
 * So a sequence of requests must first show that it walks: the first answer is
 * sent alone; while requests follow each other, the number of pages after each
 * answer doubles.
 */
#ifndef FERRY_READAHEAD_H
#define FERRY_READAHEAD_H

#include <stddef.h>
#include <stdint.h>

#define READAHEAD_STREAMS	16
#define READAHEAD_MAX		32	/* pages after one */
#define READAHEAD_GAP		8	/* pages that a walk may leave out */

/**
 * struct stream - Requests that follow each other
 * @next:	page that would follow
 * @n:		pages sent after the last one
 * @used:	number of the last request of this stream
 */
struct stream {
	size_t next, n;
	uint64_t used;
};

/** struct readahead - All streams; zeroed at the start */
struct readahead {
	struct stream stream[READAHEAD_STREAMS];
	uint64_t requests;
};

/**
 * readahead_pages() - A page was requested: how many shall follow it?
 * @r:		the streams
 * @page:	the page
 *
 * Return: 0 to READAHEAD_MAX
 */
size_t readahead_pages(struct readahead *r, size_t page);

#endif /* FERRY_READAHEAD_H */
