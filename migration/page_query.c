// SPDX-License-Identifier: MIT
/* page_query.c - query-ferry-pages: a map of RAM, and its changes */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "page_holes.h"
#include "page_query.h"
#include "vmm/base/page.h"
#include "vmm/machine/machine.h"

#define VIEWS		4	/* maps that are kept */
#define PART		16384u	/* pages at once; a multiple of 64 */
#define CELLS		2048	/* unless the client says otherwise */
#define GRAIN_MAX	(1ull << 40)

/**
 * struct view - A map that clients ask for
 * @id:		upper half of its cursors; 0: none
 * @used:	number of the query that used it last
 * @size:	bytes of its range
 * @map:	the map
 */
struct view {
	uint32_t id, used;
	uint64_t size;
	struct page_map map;
};

/**
 * struct page_query - See above
 * @fn, @ctx:	what a session knows of the pages
 * @view:	the maps
 * @ids, @queries: how many so far
 * @holes:	pages that were never written
 * @poison:	the machine's list, during a query
 * @poison_n:	its length
 * @part:	states of pages, during a query
 */
struct page_query {
	page_query_fn *fn;
	void *ctx;
	struct view view[VIEWS];
	uint32_t ids, queries;
	struct page_holes holes;
	struct poison *poison;
	int poison_n;
	uint8_t part[PART];
};

/* The arguments of a query, checked */
struct wish {
	uint64_t begin, size, grain, cursor;
};

struct page_query *page_query_new(page_query_fn *fn, void *ctx)
{
	struct page_query *q = calloc(1, sizeof(*q));

	if (q) {
		q->fn = fn;
		q->ctx = ctx;
	}
	return q;
}

void page_query_free(struct page_query *q)
{
	if (!q)
		return;
	for (unsigned i = 0; i < VIEWS; i++)
		page_map_fini(&q->view[i].map);
	page_holes_free(&q->holes);
	free(q);
}

static uint64_t member(json_t *args, const char *name, uint64_t other)
{
	json_t *value = json_object_get(args, name);

	return value ? (uint64_t)json_integer_value(value) : other;
}

/* The smallest power of two with which a range has at most @cells cells */
static uint64_t grain_for(uint64_t size, uint64_t cells)
{
	uint64_t grain = GUEST_PAGE_SIZE;

	while (grain < GRAIN_MAX && (size + grain - 1) / grain > cells)
		grain *= 2;
	return grain;
}

static int read_wish(const struct ram *ram, json_t *args, struct wish *w,
		     struct error *err)
{
	const uint64_t end = ram_end(ram->size);
	const uint64_t cells = member(args, "cells", CELLS);

	*w = (struct wish){
		.begin = member(args, "begin", 0),
		.cursor = member(args, "cursor", 0),
	};
	w->size = member(args, "size", w->begin < end ? end - w->begin : 0);
	if (cells < 1 || cells > PAGE_MAP_CELLS)
		return error_set(err, EINVAL, "'cells' must be 1 to %u",
				 PAGE_MAP_CELLS);
	if (w->begin >= end || !w->size || w->size > end - w->begin)
		return error_set(err, EINVAL, "'begin' and 'size' must be a "
			"part of the guest's memory, which ends at 0x%llx",
			(unsigned long long)end);
	w->grain = member(args, "grain", grain_for(w->size, cells));
	if (w->grain < GUEST_PAGE_SIZE || w->grain > GRAIN_MAX ||
	    w->grain & (w->grain - 1) || w->begin % w->grain)
		return error_set(err, EINVAL, "'grain' must be a power of two, "
			"at least 4096, and 'begin' a multiple of it");
	if ((w->size - 1) / w->grain >= PAGE_MAP_CELLS)
		return error_set(err, EINVAL, "the map would have more than %u "
				 "cells: choose a larger 'grain'",
				 PAGE_MAP_CELLS);
	return 0;
}

static bool view_fits(const struct view *v, const struct wish *w)
{
	return v->id && v->map.begin == w->begin && v->size == w->size &&
	       v->map.grain == w->grain;
}

/* The view that a query asks for; the least recently used one is replaced */
static struct view *view_get(struct page_query *q, const struct wish *w,
			     struct error *err)
{
	struct view *old = &q->view[0];

	q->queries++;
	for (struct view *v = q->view; v < q->view + VIEWS; v++) {
		if (view_fits(v, w)) {
			v->used = q->queries;
			return v;
		}
		if (v->used < old->used)
			old = v;
	}
	page_map_fini(&old->map);
	*old = (struct view){ .size = w->size, .used = q->queries };
	if (page_map_init(&old->map, w->begin, w->grain,
			  (w->size - 1) / w->grain + 1)) {
		error_set(err, ENOMEM, "out of memory for the map");
		return NULL;
	}
	old->id = ++q->ids;
	return old;
}

/* The list of lost pages overrides what a session knows */
static void show_poison(struct page_query *q, uint64_t gpa, size_t n)
{
	const uint64_t end = gpa + n * GUEST_PAGE_SIZE;

	for (int i = 0; i < q->poison_n; i++) {
		uint64_t from = page_down(q->poison[i].gpa);
		uint64_t to = page_up(q->poison[i].gpa + q->poison[i].size);

		from = from > gpa ? from : gpa;
		to = to < end ? to : end;
		if (from < to)
			memset(q->part + (from - gpa) / GUEST_PAGE_SIZE,
			       SHOW_POISONED, (to - from) / GUEST_PAGE_SIZE);
	}
}

static void scan_part(struct page_query *q, struct page_map *map,
		      uint64_t gpa, uint64_t offset, size_t n)
{
	const size_t page = offset / GUEST_PAGE_SIZE;

	if (!q->fn(q->ctx, page, n, q->part))
		memset(q->part, SHOW_HERE, n);
	page_holes_show(&q->holes, page, n, q->part);
	show_poison(q, gpa, n);
	page_map_count(map, gpa, q->part, n);
}

/* The part of a region of RAM that the map shows */
static void scan_region(struct page_query *q, const struct view *v,
			struct page_map *map, const struct ram_region *r)
{
	const uint64_t view_end = map->begin + v->size;
	const uint64_t region_end = r->gpa + r->size;
	uint64_t gpa = map->begin > r->gpa ? map->begin : r->gpa;
	const uint64_t end = view_end < region_end ? view_end : region_end;

	while (gpa < end) {
		const uint64_t offset = r->offset + (gpa - r->gpa);
		const size_t first = offset / GUEST_PAGE_SIZE;
		/* Later parts begin where words of bits do: this is faster */
		size_t n = PART - first % 64, left;

		left = (end - gpa + GUEST_PAGE_SIZE - 1) / GUEST_PAGE_SIZE;
		n = n < left ? n : left;
		scan_part(q, map, gpa, offset, n);
		gpa += n * GUEST_PAGE_SIZE;
	}
}

/* Without the list of lost pages, poison would be shown as contents */
static int scan(struct page_query *q, struct view *v, struct machine *m,
		struct error *err)
{
	const struct ram *ram = machine_ram(m);

	/* A destination's missing pages are known without looking */
	if (!machine_ram_hook(m).missing)
		page_holes_look(&q->holes, ram);
	q->poison_n = poison_copy(machine_poison(m), &q->poison);
	if (q->poison_n < 0)
		return error_set(err, ENOMEM,
				 "out of memory for the list of lost pages");
	page_map_begin(&v->map);
	for (unsigned i = 0; i < ram->regions; i++)
		scan_region(q, v, &v->map, &ram->region[i]);
	page_map_end(&v->map);
	free(q->poison);
	return 0;
}

static json_t *pages_json(const struct page_map *map)
{
	json_t *o = json_object();

	for (unsigned s = SHOW_NO_RAM + 1; s < PAGE_SHOWS; s++)
		json_object_set_new(o, page_map_name(s),
				    json_integer((json_int_t)map->pages[s]));
	return o;
}

static int answer(const struct view *v, const struct wish *w, json_t **ret,
		  struct error *err)
{
	const bool known = w->cursor >> 32 == v->id;
	char *text = malloc(PAGE_MAP_TEXT(v->map.n));

	if (!text)
		return error_set(err, ENOMEM, "out of memory for the map");
	page_map_runs(&v->map, known ? (uint32_t)w->cursor : 0, text);
	*ret = json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:s, s:o}",
		"begin", (json_int_t)w->begin, "size", (json_int_t)w->size,
		"grain", (json_int_t)w->grain, "cells", (json_int_t)v->map.n,
		"cursor", (json_int_t)v->id << 32 | v->map.serial,
		"whole", !known, "runs", text, "pages", pages_json(&v->map));
	free(text);
	return 0;
}

int page_query_run(struct page_query *q, struct machine *m, json_t *args,
		   json_t **ret, struct error *err)
{
	struct wish w;
	struct view *v;
	int rc = read_wish(machine_ram(m), args, &w, err);

	if (rc)
		return rc;
	v = view_get(q, &w, err);
	if (!v)
		return -ENOMEM;
	rc = scan(q, v, m, err);
	return rc ? rc : answer(v, &w, ret, err);
}
