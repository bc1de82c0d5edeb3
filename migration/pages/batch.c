// SPDX-License-Identifier: MIT
/*
 * batch.c - A run of pages, read and made into messages
 *
 * The contents are read in one go into a buffer of our own and sent from
 * there. A page that can't be read stops the reading; it alone becomes a POISON
 * message (invariant 3), and reading goes on behind it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "migration/session/mutant.h"
#include "migration/session/source.h"
#include "vmm/base/log.h"

static const uint8_t zero_page[WIRE_PAGE];

enum page_class { CLASS_DATA, CLASS_ZERO, CLASS_POISON };

static const enum wire_type class_type[] = {
	[CLASS_DATA]	= WIRE_MSG_PAGES,
	[CLASS_ZERO]	= WIRE_MSG_ZERO,
	[CLASS_POISON]	= WIRE_MSG_POISON,
};

int batch_init(struct batch *b)
{
	b->data = malloc(WIRE_RUN_PAGES * WIRE_PAGE);
	return b->data ? 0 : -ENOMEM;
}

void batch_fini(struct batch *b)
{
	free(b->data);
	b->data = NULL;
}

static void note_poison(struct source *s, uint64_t gpa)
{
	struct memory_failure f = { .gpa = gpa, .size = WIRE_PAGE,
				    .action = MF_NOTED };
	struct poison p = { .gpa = gpa, .size = WIRE_PAGE };
	int rc = poison_add(&s->m->poison, &p);

	if (rc > 0)
		machine_failure(s->m, &f);
	else if (rc < 0)
		log_line("out of memory for the poison list");
}

/* Read a run; classes[] gets POISON for each page that can't be read */
static int read_run(struct source *s, struct batch *b, size_t page, size_t n,
		    uint8_t *classes)
{
	size_t done = 0;

	memset(classes, CLASS_DATA, n);
	while (done < n) {
		uint64_t offset = (uint64_t)(page + done) * WIRE_PAGE;
		size_t got;
		int rc = ram_copy_out(&s->m->ram, offset,
				      b->data + done * WIRE_PAGE,
				      (n - done) * WIRE_PAGE, &got);

		done += got / WIRE_PAGE;
		if (!rc)
			break;
		if (rc != -EFAULT)
			return rc;
		if (mutant("drop-poison")) {
			memset(b->data + done * WIRE_PAGE, 0, WIRE_PAGE);
			done++;
			continue;
		}
		classes[done++] = CLASS_POISON;
		note_poison(s, ram_gpa(&s->m->ram,
				       offset + got / WIRE_PAGE * WIRE_PAGE));
	}
	return 0;
}

static void find_zeroes(const struct batch *b, size_t n, uint8_t *classes)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = b->data + i * WIRE_PAGE;

		if (classes[i] == CLASS_DATA && !p[0] &&
		    !memcmp(p, zero_page, WIRE_PAGE))
			classes[i] = CLASS_ZERO;
	}
}

static void add_message(struct batch *b, enum page_class class, uint64_t gpa,
			const uint8_t *data, size_t n)
{
	struct wire_msg m = { .type = class_type[class], .a = gpa, .b = n };
	uint8_t *header = b->header[b->headers++];

	if (class == CLASS_DATA)
		m.length = (uint32_t)(n * WIRE_PAGE);
	wire_put(header, &m);
	b->iov[b->iovs++] = (struct iovec){ header, WIRE_HEADER };
	if (m.length)
		b->iov[b->iovs++] = (struct iovec){
			(void *)(uintptr_t)data, m.length,
		};
	b->bytes += WIRE_HEADER + m.length;
	b->data_pages += class == CLASS_DATA ? n : 0;
	b->zero_pages += class == CLASS_ZERO ? n : 0;
	b->poison_pages += class == CLASS_POISON ? n : 0;
}

/* Pages that follow each other for the guest, too: not so at the hole */
static size_t contiguous(const struct ram *ram, size_t page, size_t n)
{
	size_t low = ram->region[0].size / WIRE_PAGE;

	return page < low && n > low - page ? low - page : n;
}

int batch_fill(struct source *s, struct batch *b, size_t page, size_t n,
	       struct error *err)
{
	uint8_t classes[WIRE_RUN_PAGES];
	int rc = read_run(s, b, page, n, classes);

	if (rc)
		return error_set(err, -rc, "cannot read guest RAM: %s",
				 strerrordesc_np(-rc));
	find_zeroes(b, n, classes);
	b->headers = b->iovs = 0;
	b->data_pages = b->zero_pages = b->poison_pages = b->bytes = 0;
	for (size_t i = 0, k; i < n; i += k) {
		size_t max = contiguous(&s->m->ram, page + i, n - i);

		for (k = 1; k < max && classes[i + k] == classes[i]; k++)
			;
		add_message(b, classes[i],
			    ram_gpa(&s->m->ram, (page + i) * WIRE_PAGE),
			    b->data + i * WIRE_PAGE, k);
	}
	return 0;
}

int batch_send(struct source *s, struct batch *b, struct channel *c,
	       enum page_count kind, struct error *err)
{
	struct page_stats *j = &s->se.progress->stats;
	int rc = channel_sendv(c, b->iov, b->iovs, err);

	if (rc)
		return rc;
	j->bytes += b->bytes;
	if (kind == PAGE_COUNTS)
		return 0;
	j->pages[kind] += b->data_pages;
	j->pages[COUNT_ZERO] += b->zero_pages;
	j->pages[COUNT_POISON] += b->poison_pages;
	return 0;
}
