// SPDX-License-Identifier: MIT
/* placement.c - What the placements share */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "placement.h"
#include "vmm/base/bits.h"
#include "vmm/memory/uffd.h"

#define RETRIES		8	/* pauses of 1, 2, 4 ... 128 ms */

void *placement_hva(const struct page_store *s, size_t page)
{
	return s->ram->base + page * WIRE_PAGE;
}

unsigned long long placement_gpa(const struct page_store *s, size_t page)
{
	return ram_gpa(s->ram, page * WIRE_PAGE);
}

static int copy_once(struct page_store *s, size_t page, const uint8_t *data,
		     size_t n, size_t *done)
{
	void *at = placement_hva(s, page);
	int rc = data ? s->call.copy(s->uffd, at, data, n * WIRE_PAGE, done)
		      : s->call.zero(s->uffd, at, n * WIRE_PAGE, done);

	*done /= WIRE_PAGE;
	return rc;
}

int placement_copy(struct page_store *s, size_t page, const uint8_t *data,
		   size_t n, size_t *done)
{
	int rc = 0;

	*done = 0;
	for (unsigned i = 0; i <= RETRIES; i++) {
		size_t now;

		if (i)
			usleep(500u << i);
		rc = copy_once(s, page + *done,
			       data ? data + *done * WIRE_PAGE : NULL,
			       n - *done, &now);
		*done += now;
		/*
		 * EFAULT: some kernels say so, and not EEXIST, if another
		 * thread moves a huge page there at that moment
		 */
		if (rc != -ENOMEM && (rc != -EFAULT || i))
			break;
	}
	return rc;
}

int placement_lost(struct page_store *s, size_t page, size_t n,
		   bool delivered, struct error *err)
{
	int rc = s->events.poisoned(s->events.ctx, placement_gpa(s, page),
				    n * WIRE_PAGE, delivered);

	s->stats->pages[COUNT_POISON] += n;
	reporter_wake(&s->reporter);
	return rc ? error_set(err, -rc, "out of memory for the poison list")
		  : 0;
}

int placement_overwrite(struct page_store *s, size_t page,
			const uint8_t *data, struct error *err)
{
	static const uint8_t zeroes[WIRE_PAGE];
	int rc = ram_write(s->ram, placement_gpa(s, page),
			   data ? data : zeroes, WIRE_PAGE);

	return rc ? error_set(err, -rc, "cannot replace a page at 0x%llx: %s",
			      placement_gpa(s, page), strerrordesc_np(-rc))
		  : 0;
}

void placement_wake(struct page_store *s, size_t page, size_t n)
{
	uffd_wake(s->uffd, placement_hva(s, page), n * WIRE_PAGE);
}

void placement_want(struct page_wants *w, size_t page)
{
	bits_fill(w->bits, page - w->first, 1, true);
	w->any = true;
}
