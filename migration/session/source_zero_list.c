// SPDX-License-Identifier: MIT
/*
 * source_zero_list.c - RAM that was never written: ZERO_LIST and WRITTEN_LIST
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source_precopy.h"
#include "source_zero_list.h"
#include "vmm/memory/ram_holes.h"

static int add_extent(struct extents *x, uint64_t offset, uint64_t len)
{
	if (x->n == x->cap) {
		size_t cap = x->cap ? 2 * x->cap : 64;
		struct ram_extent *at = reallocarray(x->at, cap, sizeof(*at));

		if (!at)
			return -ENOMEM;
		x->at = at;
		x->cap = cap;
	}
	x->at[x->n++] = (struct ram_extent){ offset, len };
	return 0;
}

#define ZERO_LIST_MAX	((WIRE_LIST_MAX - 4) / 16)

/* What does not fit in the list is found again when it is read */
static int announce_hole(void *ctx, uint64_t offset, uint64_t len)
{
	struct source *s = ctx;

	if (s->zero.n == ZERO_LIST_MAX)
		return 0;
	if (session_phase(&s->se) != SOURCE_SETUP)
		return -ECANCELED;
	s->se.progress->stats.pages[COUNT_ZERO] +=
		ledger_take(&s->pages.ledger, offset / WIRE_PAGE,
			    len / WIRE_PAGE);
	return add_extent(&s->zero, offset, len);
}

static int say_extents(struct source *s, enum wire_type type,
		       const struct extents *x, struct error *err)
{
	struct writer w = { 0 };
	int rc;

	put_u32(&w, (uint32_t)x->n);
	for (size_t i = 0; i < x->n; i++) {
		put_u64(&w, x->at[i].offset);
		put_u64(&w, x->at[i].len);
	}
	rc = session_say(&s->se, type, &w, err);
	writer_free(&w);
	return rc;
}

static int hear_ready(struct source *s, struct error *err)
{
	uint8_t *data = NULL;
	uint32_t n, unit = WIRE_PAGE;
	int rc = session_expect(&s->se, WIRE_MSG_READY, &data, &n, err);

	if (!rc)
		rc = wire_get_ready(data, &unit, err);
	free(data);
	s->unit = unit / WIRE_PAGE;
	return rc;
}

/*
 * Announce RAM that was never written as zeroes, while the guest still runs:
 * all that depends on the size of RAM is done before the guest is held. What
 * the guest writes meanwhile is corrected by source_zero(). A kernel that can't
 * report holes makes the migration slower: zero pages are found when they are
 * read.
 */
int source_scan(struct source *s, struct error *err)
{
	const struct ram *ram = machine_ram(s->m);
	int rc = ram_holes(ram, 0, ram->size, announce_hole, s);

	if (rc == -ENOMEM || rc == -ECANCELED)
		return error_set(err, -rc, "cannot list the zero pages: %s",
				 strerrordesc_np(-rc));
	rc = say_extents(s, WIRE_MSG_ZERO_LIST, &s->zero, err);
	/* The destination has applied the list, and has all that it needs */
	return rc ? rc : hear_ready(s, err);
}

/*
 * What was written of the announced ranges: all of them but the holes that are
 * left. Both ascend.
 */
struct written {
	struct source *s;
	struct extents x;
	size_t range;		/* of @s->zero that is being looked at */
	uint64_t at;		/* all of it below was looked at */
};

static int add_written(struct written *wr, uint64_t to)
{
	struct source *s = wr->s;
	uint64_t from = wr->at;

	wr->at = to;
	if (from == to)
		return 0;
	if (wr->x.n == ZERO_LIST_MAX)
		return -ENOSPC;
	source_pass_written(s, from, to - from);
	s->se.progress->stats.pages[COUNT_ZERO] -=
		ledger_give_back(&s->pages.ledger, (size_t)(from / WIRE_PAGE),
				 (size_t)((to - from) / WIRE_PAGE));
	return add_extent(&wr->x, from, to - from);
}

/* The rest of the ranges that end at or below an offset was written */
static int finish_ranges(struct written *wr, uint64_t offset)
{
	const struct extents *z = &wr->s->zero;
	int rc = 0;

	while (!rc && wr->range < z->n) {
		const struct ram_extent *e = &z->at[wr->range];

		if (wr->at < e->offset)
			wr->at = e->offset;
		if (e->offset + e->len > offset)
			break;
		rc = add_written(wr, e->offset + e->len);
		wr->range++;
	}
	return rc;
}

/* A hole is within one range */
static int skip_hole(void *ctx, uint64_t offset, uint64_t len)
{
	struct written *wr = ctx;
	int rc = finish_ranges(wr, offset);

	if (!rc)
		rc = add_written(wr, offset);
	wr->at = offset + len;
	return rc;
}

/*
 * The guest is held: what is a hole now was never written, whatever was
 * announced. So only pages that were announced and are no holes are corrected.
 */
int source_zero(struct source *s, struct error *err)
{
	struct written wr = { .s = s };
	int rc = ram_holes_left(machine_ram(s->m), s->zero.at, s->zero.n,
				skip_hole, &wr);

	if (!rc)
		rc = finish_ranges(&wr, UINT64_MAX);
	rc = rc ? error_set(err, -rc, "cannot list the written pages: %s",
			    strerrordesc_np(-rc))
		: say_extents(s, WIRE_MSG_WRITTEN_LIST, &wr.x, err);
	free(wr.x.at);
	return rc;
}
