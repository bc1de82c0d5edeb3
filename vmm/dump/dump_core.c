// SPDX-License-Identifier: MIT
/*
 * dump_core.c - Write a frozen machine into an ELF core file
 *
 * The headers come first in the file and list what is lost, which is only known
 * after all memory was read. So room is left for them, with a reserve for lost
 * pages that the machine's list does not have yet. If the reserve is too small,
 * the file is written again, with the list that the first pass completed.
 */

#include <errno.h>
#include <stdlib.h>

#include "arch_core.h"
#include "dump_core.h"
#include "elf_core.h"

#define SPARE	1024	/* lost runs that are not in the list yet */
#define PASSES	8u

/* Add a run by offsets. Return: number of runs so far */
static size_t add_load(const struct ram_save *s, struct core_load *load,
		       size_t n, uint64_t from, uint64_t to)
{
	if (from >= to)
		return n;
	load[n] = (struct core_load){
		.gpa = ram_gpa(machine_ram(s->m), from), .size = to - from,
		.file = s->base + (from - s->from),
	};
	return n + 1;
}

/* Add a region without its lost parts. Return: number of runs so far */
static size_t cut_region(const struct ram_save *s, uint64_t from, uint64_t to,
			 struct core_load *load, size_t n)
{
	for (size_t i = 0; i < s->lost_n && from < to; i++) {
		const struct ram_extent *l = &s->lost[i];

		if (l->offset + l->len <= from || l->offset >= to)
			continue;
		n = add_load(s, load, n, from, l->offset);
		from = l->offset + l->len;
	}
	return add_load(s, load, n, from, to);
}

static size_t list_loads(const struct ram_save *s, struct core_load *load)
{
	size_t n = 0;

	for (unsigned i = 0; i < machine_ram(s->m)->regions; i++) {
		const struct ram_region *r = &machine_ram(s->m)->region[i];
		uint64_t from = r->offset, to = r->offset + r->size;

		from = from > s->from ? from : s->from;
		to = to < s->to ? to : s->to;
		n = cut_region(s, from, to, load, n);
	}
	return n;
}

static void put_lost(const struct ram_save *s, struct core_load *list,
		     struct writer *notes)
{
	for (size_t i = 0; i < s->lost_n; i++) {
		list[i].gpa = ram_gpa(machine_ram(s->m), s->lost[i].offset);
		list[i].size = s->lost[i].len;
	}
	core_put_lost(notes, list, s->lost_n);
}

static int put_headers(const struct ram_save *s, struct writer *w,
		       struct error *err)
{
	size_t max = s->lost_n + machine_ram(s->m)->regions;
	struct core_load *list = calloc(max, sizeof(*list));
	struct writer notes = { 0 };
	int rc = list ? arch_core_put(s->m, &notes, err)
		      : error_set(err, ENOMEM, "out of memory");

	if (!rc) {
		put_lost(s, list, &notes);
		core_put_file(w, list, list_loads(s, list), &notes);
		if (w->failed)
			rc = error_set(err, ENOMEM, "out of memory");
	}
	writer_free(&notes);
	free(list);
	return rc;
}

/*
 * @spare: lost runs to leave room for, beside those in the machine's list.
 * Return: 0, -EAGAIN (there are more), -errno
 */
static int try_once(struct ram_save *s, size_t spare, struct error *err)
{
	struct writer w = { 0 };
	size_t loads;
	int rc = ram_save_lost(s, err);

	loads = s->lost_n + machine_ram(s->m)->regions + spare;
	s->base = core_room(loads, s->lost_n + spare,
			    arch_core_size(machine_config(s->m)->cpus));
	if (!rc)
		rc = outfile_size(s->file, s->base + (s->to - s->from), err);
	if (!rc)
		rc = ram_save(s, err);
	if (!rc)
		rc = put_headers(s, &w, err);
	if (!rc && w.len > s->base)
		rc = -EAGAIN;
	if (!rc)
		rc = outfile_write(s->file, w.data, w.len, 0, err);
	writer_free(&w);
	return rc;
}

int dump_core(struct ram_save *s, struct error *err)
{
	int rc = try_once(s, SPARE, err);

	for (unsigned i = 0; i < PASSES && rc == -EAGAIN && !err->code; i++) {
		size_t spare = s->lost_n + SPARE;

		rc = outfile_size(s->file, 0, err);
		if (!rc)
			rc = try_once(s, spare, err);
	}
	return rc == -EAGAIN && !err->code ? error_set(err, EAGAIN,
		"more memory was lost during each of %u passes", PASSES) : rc;
}
