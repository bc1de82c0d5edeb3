/* SPDX-License-Identifier: MIT */
/*
 * batch.h - A run of a source's pages, read and encoded as messages
 *
 * The contents are read at once into a buffer, and sent from there. A page
 * that can't be read stops the reading; it alone becomes a POISON message
 * (invariant 3), and reading continues after it.
 */
#ifndef FERRY_BATCH_H
#define FERRY_BATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "migration/wire/wire.h"
#include "vmm/base/error.h"
#include "vmm/memory/ram.h"

/* Each page may become a message of its own: header and contents */
#define BATCH_IOVS	(2 * WIRE_RUN_PAGES)

/**
 * batch_lost_fn - A page could not be read, because it is poisoned
 * @ctx:	the caller's
 * @gpa:	the page
 *
 * Called before the batch is sent; may be called again for the same page.
 */
typedef void batch_lost_fn(void *ctx, uint64_t gpa);

/**
 * struct batch - A run of pages to be sent
 * @ram:	what is read
 * @lost:	called for pages that are poisoned
 * @ctx:	for @lost
 * @skip_lost:	pages that can't be read are left out: no POISON message
 * @data:	contents, WIRE_RUN_PAGES of them
 * @header:	of the messages
 * @iov:	headers and contents in the order to send
 * @headers, @iovs: how many
 * @data_pages, @zero_pages, @lost_pages: pages of each kind
 * @bytes:	all that is to be sent
 */
struct batch {
	const struct ram *ram;
	batch_lost_fn *lost;
	void *ctx;
	bool skip_lost;
	uint8_t *data;
	uint8_t header[WIRE_RUN_PAGES][WIRE_HEADER];
	struct iovec iov[BATCH_IOVS];
	unsigned headers, iovs;
	uint64_t data_pages, zero_pages, lost_pages, bytes;
};

/**
 * batch_init() - Allocate what a batch needs, for good
 * @b:		filled in
 * @ram:	what is read
 * @lost:	called for pages that are poisoned
 * @ctx:	for @lost
 *
 * Return: 0, -ENOMEM
 */
int batch_init(struct batch *b, const struct ram *ram, batch_lost_fn *lost,
	       void *ctx);

/** batch_fini() - Free it; fine on one that is all zeroes */
void batch_fini(struct batch *b);

/**
 * batch_fill() - Read a run of pages and encode it
 * @b:		the batch
 * @page:	first page, by offset in RAM
 * @n:		pages, at most WIRE_RUN_PAGES; may cross the hole under 4 GiB
 * @err:	why not
 *
 * Zero pages and lost pages become messages without contents.
 *
 * Return: 0, -errno if RAM can't be read for another reason than poison
 */
int batch_fill(struct batch *b, size_t page, size_t n, struct error *err);

#endif /* FERRY_BATCH_H */
