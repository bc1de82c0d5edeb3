// SPDX-License-Identifier: MIT
/* batch.c - A run of a source's pages, read and encoded as messages */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "mutant.h"

static const uint8_t zero_page[WIRE_PAGE];

enum content { CONTENT_DATA, CONTENT_ZERO, CONTENT_LOST };

static const enum wire_type content_type[] = {
	[CONTENT_DATA]	= WIRE_MSG_PAGES,
	[CONTENT_ZERO]	= WIRE_MSG_ZERO,
	[CONTENT_LOST]	= WIRE_MSG_POISON,
};

int batch_init(struct batch *b, const struct ram *ram, batch_lost_fn *lost,
	       void *ctx)
{
	*b = (struct batch){ .ram = ram, .lost = lost, .ctx = ctx };
	b->data = malloc(WIRE_RUN_PAGES * WIRE_PAGE);
	if (!b->data)
		return -ENOMEM;
	/* The pages of the buffer, too, are allocated now */
	memset(b->data, 1, WIRE_RUN_PAGES * WIRE_PAGE);
	return 0;
}

void batch_fini(struct batch *b)
{
	free(b->data);
	b->data = NULL;
}

/* Read a run; @kind gets CONTENT_LOST for each page that can't be read */
static int read_run(struct batch *b, size_t page, size_t n, uint8_t *kind)
{
	size_t done = 0;

	memset(kind, CONTENT_DATA, n);
	while (done < n) {
		uint64_t offset = (uint64_t)(page + done) * WIRE_PAGE;
		size_t got;
		int rc = ram_copy_out(b->ram, offset,
				      b->data + done * WIRE_PAGE,
				      (n - done) * WIRE_PAGE, &got);

		done += got / WIRE_PAGE;
		if (!rc)
			break;
		/* Any other error is no proof of poison (ram.h) */
		if (rc != -EHWPOISON)
			return rc;
		if (mutant("drop-poison")) {
			memset(b->data + done * WIRE_PAGE, 0, WIRE_PAGE);
			done++;
			continue;
		}
		kind[done++] = CONTENT_LOST;
		b->lost(b->ctx, ram_gpa(b->ram, offset +
					got / WIRE_PAGE * WIRE_PAGE));
	}
	return 0;
}

static void find_zeroes(const struct batch *b, size_t n, uint8_t *kind)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = b->data + i * WIRE_PAGE;

		if (kind[i] == CONTENT_DATA && !p[0] &&
		    !memcmp(p, zero_page, WIRE_PAGE))
			kind[i] = CONTENT_ZERO;
	}
}

static void append_message(struct batch *b, enum content kind, uint64_t gpa,
			   const uint8_t *data, size_t n)
{
	struct wire_msg m = { .type = content_type[kind], .a = gpa, .b = n };
	uint8_t *header = b->header[b->headers++];

	if (kind == CONTENT_DATA)
		m.length = (uint32_t)(n * WIRE_PAGE);
	wire_put(header, &m);
	b->iov[b->iovs++] = (struct iovec){ header, WIRE_HEADER };
	if (m.length)
		b->iov[b->iovs++] = (struct iovec){
			(void *)(uintptr_t)data, m.length,
		};
	b->bytes += WIRE_HEADER + m.length;
	b->data_pages += kind == CONTENT_DATA ? n : 0;
	b->zero_pages += kind == CONTENT_ZERO ? n : 0;
	b->lost_pages += kind == CONTENT_LOST ? n : 0;
}

/* Pages whose gpas are consecutive, too: not so across the hole */
static size_t pages_to_hole(const struct ram *ram, size_t page, size_t n)
{
	size_t low = ram->region[0].size / WIRE_PAGE;

	return page < low && n > low - page ? low - page : n;
}

int batch_fill(struct batch *b, size_t page, size_t n, struct error *err)
{
	uint8_t kind[WIRE_RUN_PAGES];
	int rc = read_run(b, page, n, kind);

	if (rc)
		return error_set(err, -rc, "cannot read guest RAM: %s",
				 strerrordesc_np(-rc));
	find_zeroes(b, n, kind);
	b->headers = b->iovs = 0;
	b->data_pages = b->zero_pages = b->lost_pages = b->bytes = 0;
	for (size_t i = 0, k; i < n; i += k) {
		size_t max = pages_to_hole(b->ram, page + i, n - i);

		for (k = 1; k < max && kind[i + k] == kind[i]; k++)
			;
		if (b->skip_lost && kind[i] == CONTENT_LOST)
			continue;
		append_message(b, kind[i],
			       ram_gpa(b->ram, (page + i) * WIRE_PAGE),
			       b->data + i * WIRE_PAGE, k);
	}
	return 0;
}
