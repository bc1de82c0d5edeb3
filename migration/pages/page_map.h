/* SPDX-License-Identifier: MIT */
/*
 * page_map.h - A map of RAM in cells of many pages, with its changes (pure)
 *
 * The pages of a range of guest-physical addresses are counted by state, for
 * each cell of the map. A cell has one letter: poisoned if one of its pages is,
 * else requested if one is, else the state of most of its pages; and a mark if
 * some of its pages, but not most, were demanded. Each scan gives the cells that
 * have changed a new serial number, so a client that names the number of its
 * last answer receives the changes since.
 */
#ifndef FERRY_PAGE_MAP_H
#define FERRY_PAGE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "page_show.h"

#define PAGE_MAP_CELLS	65536u	/* at most */

/*
 * Bytes for the runs of n cells. A cell needs at most 2, and another start, of at
 * most 7, comes after at least 4 cells that are left out
 */
#define PAGE_MAP_TEXT(n)	(3 * (n) + 32)

/**
 * struct page_map - The map
 * @begin:	first address, a multiple of @grain
 * @grain:	bytes of a cell, a multiple of the page size
 * @n:		cells
 * @serial:	of the last scan that has changed a cell; from 1 on
 * @cell:	each cell's letter; lower bits, and the mark
 * @changed:	each cell's serial number
 * @count:	pages by state, of each cell, during a scan
 * @pages:	pages by state, of all cells, by the last scan
 */
struct page_map {
	uint64_t begin, grain;
	size_t n;
	uint32_t serial;
	uint8_t *cell;
	uint32_t *changed;
	uint32_t (*count)[PAGE_SHOWS];
	uint64_t pages[PAGE_SHOWS];
};

/**
 * page_map_init() - A map without a scan
 * @m:		filled in
 * @begin:	first address
 * @grain:	bytes of a cell
 * @n:		cells, 1 to PAGE_MAP_CELLS
 *
 * Return: 0, -ENOMEM
 */
int page_map_init(struct page_map *m, uint64_t begin, uint64_t grain,
		  size_t n);

/** page_map_fini() - Free it; fine on one that is all zeroes */
void page_map_fini(struct page_map *m);

/** page_map_begin() - Begin a scan */
void page_map_begin(struct page_map *m);

/**
 * page_map_count() - Pages of a scan
 * @m:		the map
 * @gpa:	address of the first page; all pages are in the map's range
 * @show:	enum page_show of each, one byte each
 * @n:		pages
 */
void page_map_count(struct page_map *m, uint64_t gpa, const uint8_t *show,
		    size_t n);

/** page_map_end() - The scan is complete: find the cells that have changed */
void page_map_end(struct page_map *m);

/**
 * page_map_runs() - Cells as text
 * @m:		the map, scanned at least once
 * @since:	only cells that changed after this serial number; 0: all
 * @text:	PAGE_MAP_TEXT(@m->n) bytes
 *
 * "0:12m3s+,400:p": from cell 0 on 12 cells of letter m and 3 of letter s with a
 * mark; cell 400 has letter p. "" if no cell has changed.
 *
 * Return: length of the text
 */
size_t page_map_runs(const struct page_map *m, uint32_t since, char *text);

/** page_map_letter() - The letter of a state in runs */
char page_map_letter(enum page_show s);

/** page_map_name() - The name of a state, e.g. "never-written" */
const char *page_map_name(enum page_show s);

#endif /* FERRY_PAGE_MAP_H */
