// SPDX-License-Identifier: MIT
/* ram_save.c - A stretch of guest RAM into a file */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ram_save.h"

#define PAGE		4096ull
#define CHUNK		(256u << 10)

/* Insert in front of entry @i, or make the one before it longer */
static int add_lost(struct ram_save *s, size_t i, struct ram_extent e)
{
	struct ram_extent *before = i ? &s->lost[i - 1] : NULL;

	/* Not so across the hole under 4 GiB */
	if (before && before->offset + before->len == e.offset &&
	    ram_gpa(&s->m->ram, before->offset) + before->len ==
	    ram_gpa(&s->m->ram, e.offset)) {
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

static int refuse(const struct ram_save *s, uint64_t offset,
		  struct error *err)
{
	return error_set(err, EHWPOISON,
		"the page at 0x%llx is lost (memory failure): nothing was saved",
		(unsigned long long)ram_gpa(&s->m->ram, offset));
}

int ram_save_lost(struct ram_save *s, struct error *err)
{
	struct poison *p;
	int n = poison_copy(&s->m->poison, &p), rc = n < 0 ? n : 0;

	s->lost_n = 0;
	for (int i = 0; i < n && !rc; i++) {
		struct ram_extent e = { .len = p[i].size };

		if (ram_offset(&s->m->ram, p[i].gpa, e.len, &e.offset) &&
		    e.offset < s->to && e.offset + e.len > s->from)
			rc = add_lost(s, s->lost_n, e);
	}
	if (n > 0)
		free(p);
	return rc ? error_set(err, ENOMEM, "out of memory for lost pages") : 0;
}

/* The first lost stretch that ends behind an offset; @lost_n if none does */
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

/* A page that nobody knew to be lost. @i: where it belongs in the list */
static int met_lost(struct ram_save *s, size_t i, uint64_t offset,
		    struct error *err)
{
	struct ram_extent e = { offset & ~(PAGE - 1), PAGE };

	machine_lost(s->m, ram_gpa(&s->m->ram, e.offset), PAGE);
	if (s->strict)
		return refuse(s, e.offset, err);
	return add_lost(s, i, e) ? error_set(err, ENOMEM,
				"out of memory for lost pages") : 0;
}

/* Save from *at on, up to @end at most; @i as for met_lost() */
static int save_chunk(struct ram_save *s, uint64_t *at, uint64_t end,
		      size_t i, uint8_t *buf, struct error *err)
{
	size_t n = end - *at < CHUNK ? (size_t)(end - *at) : CHUNK, got;
	int rc, bad = ram_copy_out(&s->m->ram, *at, buf, n, &got);

	rc = all_zero(buf, got) ? 0 :
	     outfile_write(s->file, buf, got, s->base + (*at - s->from), err);
	*at += got;
	*s->completed += got;
	if (!rc && bad == -EFAULT)
		rc = met_lost(s, i, *at, err);
	else if (!rc && bad)
		rc = error_set(err, -bad, "cannot read guest RAM: %s",
			       strerrordesc_np(-bad));
	return rc;
}

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
		if (next.offset <= at && next.len) {
			uint64_t behind = next.offset + next.len;

			behind = behind < end ? behind : end;
			*s->completed += behind - at;
			at = behind;
		} else {
			rc = save_chunk(s, &at, next.offset < end ?
					next.offset : end, i, buf, err);
		}
	}
	return rc;
}

/* Between the holes */
struct walk {
	struct ram_save *s;
	uint64_t next;		/* all below is dealt with */
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
		rc = refuse(s, s->lost[0].offset > s->from
			       ? s->lost[0].offset : s->from & ~(PAGE - 1),
			    err);
	if (!rc) {
		rc = ram_holes(&s->m->ram, s->from & ~(PAGE - 1),
			       (s->to + PAGE - 1) & ~(PAGE - 1), skip_hole,
			       &w);
		/* A kernel that can't tell: then all of it is read */
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
