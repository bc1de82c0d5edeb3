// SPDX-License-Identifier: MIT
/*
 * fdt.c - The part of a flattened device tree that the guest reads
 *
 * Format: Devicetree Specification, chapter 5. Everything is big-endian.
 */
#include "../line.h"
#include "fdt.h"

enum { FDT_BEGIN_NODE = 1, FDT_END_NODE, FDT_PROP, FDT_NOP, FDT_END = 9 };

struct fdt_header {
	uint32_t magic, totalsize, off_struct, off_strings, off_reserve;
	uint32_t version, compatible, boot_cpu, size_strings, size_struct;
};

/* Position in the structure block; any damage sets at to end */
struct fdt_cursor {
	const char *at, *end;
	int depth;
	bool in_cpus;
	int cpus;
};

static uint32_t fdt_word(struct fdt_cursor *f)
{
	uint32_t v;

	if (f->end - f->at < 4) {
		f->at = f->end;
		return FDT_END;
	}
	v = __builtin_bswap32(*(const uint32_t *)f->at);
	f->at += 4;
	return v;
}

static void fdt_skip(struct fdt_cursor *f, uint64_t bytes)
{
	bytes = (bytes + 3) & ~3ULL;
	if (bytes > (uint64_t)(f->end - f->at))
		f->at = f->end;
	else
		f->at += bytes;
}

static uint64_t fdt_name_length(const struct fdt_cursor *f)
{
	uint64_t n = 0;

	while (f->at + n < f->end && f->at[n])
		n++;
	return n;
}

static void fdt_node(struct fdt_cursor *f)
{
	uint64_t n = fdt_name_length(f);

	if (f->at + n < f->end) {
		if (f->depth == 1)
			f->in_cpus = text_equal(f->at, "cpus");
		else if (f->depth == 2 && f->in_cpus &&
			 text_starts(f->at, "cpu@"))
			f->cpus++;
	}
	f->depth++;
	fdt_skip(f, n + 1);
}

static void fdt_property(struct fdt_cursor *f)
{
	uint32_t length = fdt_word(f);

	fdt_word(f);
	fdt_skip(f, length);
}

int fdt_count_cpus(const void *fdt)
{
	const struct fdt_header *h = fdt;
	uint64_t start = __builtin_bswap32(h->off_struct);
	uint64_t size = __builtin_bswap32(h->size_struct);
	struct fdt_cursor f = {
		.at = (const char *)fdt + start,
		.end = (const char *)fdt + start + size,
	};
	uint32_t token;

	if (start + size > __builtin_bswap32(h->totalsize))
		return 0;
	while ((token = fdt_word(&f)) != FDT_END) {
		if (token == FDT_BEGIN_NODE)
			fdt_node(&f);
		else if (token == FDT_END_NODE)
			f.depth--;
		else if (token == FDT_PROP)
			fdt_property(&f);
		else if (token != FDT_NOP)
			return 0;
	}
	return f.depth ? 0 : f.cpus;
}
