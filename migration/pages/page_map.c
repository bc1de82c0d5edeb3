// SPDX-License-Identifier: MIT
/* page_map.c - A map of RAM in cells of many pages, with its changes */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page_map.h"
#include "vmm/base/page.h"

#define CELL_MARK	0x80	/* some pages were demanded */

static const struct {
	char letter;
	const char *name;
} shows[PAGE_SHOWS] = {
	[SHOW_NO_RAM]	 = { 'x', "no-ram" },
	[SHOW_NEVER]	 = { '.', "never-written" },
	[SHOW_HERE]	 = { 'w', "here" },
	[SHOW_MISSING]	 = { 'm', "missing" },
	[SHOW_REQUESTED] = { 'r', "requested" },
	[SHOW_DEMANDED]	 = { 'd', "demanded" },
	[SHOW_MOVED]	 = { 's', "pushed" },
	[SHOW_ZERO]	 = { 'z', "zero" },
	[SHOW_DIRTY]	 = { 'o', "dirty" },
	[SHOW_POISONED]	 = { 'p', "poisoned" },
};

char page_map_letter(enum page_show s)
{
	return shows[s].letter;
}

const char *page_map_name(enum page_show s)
{
	return shows[s].name;
}

int page_map_init(struct page_map *m, uint64_t begin, uint64_t grain,
		  size_t n)
{
	*m = (struct page_map){ .begin = begin, .grain = grain, .n = n };
	m->cell = malloc(n);
	m->changed = calloc(n, sizeof(*m->changed));
	m->count = calloc(n, sizeof(*m->count));
	if (!m->cell || !m->changed || !m->count) {
		page_map_fini(m);
		return -ENOMEM;
	}
	memset(m->cell, 0xff, n);	/* no cell is like this */
	return 0;
}

void page_map_fini(struct page_map *m)
{
	free(m->cell);
	free(m->changed);
	free(m->count);
	*m = (struct page_map){ 0 };
}

void page_map_begin(struct page_map *m)
{
	memset(m->count, 0, m->n * sizeof(*m->count));
	memset(m->pages, 0, sizeof(m->pages));
}

/* Pages that are alike, from @show on; eight at a time */
static size_t alike(const uint8_t *show, size_t n)
{
	const uint64_t all = *show * 0x0101010101010101ull;
	uint64_t word;
	size_t i = 1;

	while (i + sizeof(word) <= n) {
		memcpy(&word, show + i, sizeof(word));
		if (word != all)
			break;
		i += sizeof(word);
	}
	while (i < n && show[i] == *show)
		i++;
	return i;
}

void page_map_count(struct page_map *m, uint64_t gpa, const uint8_t *show,
		    size_t n)
{
	const size_t each = m->grain / GUEST_PAGE_SIZE;
	size_t page = (gpa - m->begin) / GUEST_PAGE_SIZE;

	while (n) {
		size_t run = alike(show, n), left = run;

		while (left) {
			size_t room = each - page % each;
			size_t now = left < room ? left : room;

			m->count[page / each][*show] += (uint32_t)now;
			page += now;
			left -= now;
		}
		m->pages[*show] += run;
		show += run;
		n -= run;
	}
}

static uint8_t choose_cell(const uint32_t *count)
{
	unsigned most = 0;

	if (count[SHOW_POISONED])
		most = SHOW_POISONED;
	else if (count[SHOW_REQUESTED])
		most = SHOW_REQUESTED;
	else
		for (unsigned s = 1; s < PAGE_SHOWS; s++)
			if (count[s] > count[most])
				most = s;
	return (uint8_t)(most | (count[SHOW_DEMANDED] && most != SHOW_DEMANDED
				 ? CELL_MARK : 0));
}

void page_map_end(struct page_map *m)
{
	const uint32_t serial = m->serial + 1;

	for (size_t i = 0; i < m->n; i++) {
		uint8_t now = choose_cell(m->count[i]);

		if (now == m->cell[i])
			continue;
		m->cell[i] = now;
		m->changed[i] = serial;
		m->serial = serial;
	}
}

static size_t put_run(char *text, size_t n, uint8_t cell)
{
	size_t len = n > 1 ? (size_t)sprintf(text, "%zu", n) : 0;

	text[len++] = shows[cell & ~CELL_MARK].letter;
	if (cell & CELL_MARK)
		text[len++] = '+';
	return len;
}

/*
 * A gap of a few unchanged cells costs less as cells than as another start, so
 * it is written like those that have changed
 */
static bool gap_is_short(const struct page_map *m, size_t i, uint32_t since)
{
	const size_t end = i + 4 < m->n ? i + 4 : m->n;

	for (; i < end; i++)
		if (m->changed[i] > since)
			return true;
	return false;
}

size_t page_map_runs(const struct page_map *m, uint32_t since, char *text)
{
	size_t len = 0, i = 0;

	while (i < m->n) {
		if (m->changed[i] <= since) {
			i++;
			continue;
		}
		len += (size_t)sprintf(text + len, "%s%zu:", len ? "," : "", i);
		while (i < m->n && (m->changed[i] > since ||
				    gap_is_short(m, i, since))) {
			size_t first = i;

			while (i < m->n && m->cell[i] == m->cell[first] &&
			       (m->changed[i] > since ||
				gap_is_short(m, i, since)))
				i++;
			len += put_run(text + len, i - first, m->cell[first]);
		}
	}
	text[len] = '\0';
	return len;
}
