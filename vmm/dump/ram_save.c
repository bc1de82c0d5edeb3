// SPDX-License-Identifier: MIT
/* ram_save.c - Write a range of guest RAM into a file */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ram_save.h"
#include "vmm/base/page.h"
#include "vmm/memory/ram_holes.h"

#define CHUNK		(256u << 10)

/* Insert @e before entry @i, or extend the entry before it */
static int add_lost(struct ram_save *s, size_t i, struct ram_extent e)
{
	struct ram_extent *before = i ? &s->lost[i - 1] : NULL;

	/* Adjacent offsets on both sides of the hole under 4 GiB are not
	 * adjacent for the guest
	 */
	if (before && before->offset + before->len == e.offset &&
	    ram_gpa(machine_ram(s->m), before->offset) + before->len ==
	    ram_gpa(machine_ram(s->m), e.offset)) {
		before->len += e.len;
		return 0;
	}
	if (s->lost_n == s->lost_cap) {
		size_t cap = s->lost_cap ? 2 * s->lost_cap : 64;
		struct ram_extent *more = reallocarray(s->lost, cap,
						       sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->lost = more;
		s->lost_cap = cap;
	}
	memmove(s->lost + i + 1, s->lost + i,
		(s->lost_n - i) * sizeof(*s->lost));
	s->lost[i] = e;
	s->lost_n++;
	return 0;
}

static int set_lost_error(const struct ram_save *s, uint64_t offset,
		  struct error *err)
{
	return error_set(err, EHWPOISON,
		"the page at 0x%llx is lost (memory failure): nothing was saved",
		(unsigned long long)ram_gpa(machine_ram(s->m), offset));
}

int ram_save_lost(struct ram_save *s, struct error *err)
{
	struct poison *p;
	int n = poison_copy(machine_poison(s->m), &p), rc = n < 0 ? n : 0;

	s->lost_n = 0;
	for (int i = 0; i < n && !rc; i++) {
		struct ram_extent e = { .len = p[i].size };

		if (ram_offset(machine_ram(s->m), p[i].gpa, e.len, &e.offset) &&
		    e.offset < s->to && e.offset + e.len > s->from)
			rc = add_lost(s, s->lost_n, e);
	}
	if (n > 0)
		free(p);
	return rc ? error_set(err, ENOMEM, "out of memory for lost pages") : 0;
}

/* Index of the first lost run that ends above an offset; @lost_n if none */
static size_t next_lost(const struct ram_save *s, uint64_t offset)
{
	size_t low = 0, high = s->lost_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->lost[mid].offset + s->lost[mid].len > offset)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

/* A read found a lost page that is not listed. @i: its place in the list */
static int found_lost(struct ram_save *s, size_t i, uint64_t page,
		      struct error *err)
{
	struct ram_extent e = { page, GUEST_PAGE_SIZE };

	machine_lost(s->m, ram_gpa(machine_ram(s->m), page), GUEST_PAGE_SIZE);
	if (s->strict)
		return set_lost_error(s, page, err);
	return add_lost(s, i, e) ? error_set(err, ENOMEM,
				"out of memory for lost pages") : 0;
}

/* Advance *at to @next, but not above @end */
static void skip_to(struct ram_save *s, uint64_t *at, uint64_t next,
		    uint64_t end)
{
	next = next < end ? next : end;
	*s->completed += next - *at;
	*at = next;
}

/* Save from *at, up to @end at most; @i as for found_lost() */
static int save_chunk(struct ram_save *s, uint64_t *at, uint64_t end,
		      size_t i, uint8_t *buf, struct error *err)
{
	size_t n = end - *at < CHUNK ? (size_t)(end - *at) : CHUNK, got;
	int rc, bad = ram_copy_out(machine_ram(s->m), *at, buf, n, &got);

	rc = all_zero(buf, got) ? 0 :
	     outfile_write(s->file, buf, got, s->base + (*at - s->from), err);
	skip_to(s, at, *at + got, end);
	if (rc || !bad)
		return rc;
	if (bad != -EHWPOISON)
		return error_set(err, -bad, "cannot read guest RAM at 0x%llx: %s",
			(unsigned long long)ram_gpa(machine_ram(s->m), *at),
			strerrordesc_np(-bad));
	rc = found_lost(s, i, page_down(*at), err);
	skip_to(s, at, page_down(*at) + GUEST_PAGE_SIZE, end);
	return rc;
}

/* Each turn advances @at, whatever the list of lost runs contains */
static int save_used(struct ram_save *s, uint64_t at, uint64_t end,
		     uint8_t *buf, struct error *err)
{
	int rc = 0;

	while (at < end && !rc) {
		size_t i = next_lost(s, at);
		struct ram_extent next = i < s->lost_n ? s->lost[i]
					: (struct ram_extent){ end, 0 };

		if (*s->stop)
			return error_set(err, ECANCELED, "the machine ends");
		if (next.offset <= at && next.offset + next.len > at)
			skip_to(s, &at, next.offset + next.len, end);
		else
			rc = save_chunk(s, &at, next.offset > at &&
					next.offset < end ? next.offset : end,
					i, buf, err);
	}
	return rc;
}

/* Saves what is between the holes */
struct walk {
	struct ram_save *s;
	uint64_t next;		/* all below is done */
	uint8_t *buf;
	struct error *err;
};

static int skip_hole(void *ctx, uint64_t offset, uint64_t len)
{
	struct walk *w = ctx;
	struct ram_save *s = w->s;
	uint64_t end = offset + len < s->to ? offset + len : s->to;
	int rc = offset > w->next
		 ? save_used(s, w->next, offset, w->buf, w->err) : 0;

	if (offset > w->next)
		w->next = offset;
	if (end > w->next) {
		*s->completed += end - w->next;
		w->next = end;
	}
	return rc;
}

int ram_save(struct ram_save *s, struct error *err)
{
	struct walk w = { .s = s, .next = s->from, .buf = malloc(CHUNK),
			  .err = err };
	int rc = w.buf ? 0 : error_set(err, ENOMEM, "out of memory");

	*s->completed = 0;
	if (!rc && s->strict && s->lost_n)
		rc = set_lost_error(s, s->lost[0].offset > s->from
			       ? s->lost[0].offset : page_down(s->from),
			    err);
	if (!rc) {
		rc = ram_holes(machine_ram(s->m), page_down(s->from),
			       page_up(s->to), skip_hole,
			       &w);
		/* A kernel that can't tell: read all of it */
		rc = rc && err->code ? rc : 0;
	}
	if (!rc)
		rc = save_used(s, w.next, s->to, w.buf, err);
	free(w.buf);
	return rc;
}

void ram_save_fini(struct ram_save *s)
{
	free(s->lost);
	s->lost = NULL;
	s->lost_n = s->lost_cap = 0;
}
