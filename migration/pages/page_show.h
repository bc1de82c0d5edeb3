/* SPDX-License-Identifier: MIT */
/* page_show.h - What query-ferry-pages says about a page (pure) */
#ifndef FERRY_PAGE_SHOW_H
#define FERRY_PAGE_SHOW_H

/*
 * One side's view of a page. A page that is being placed is what it was before.
 * The numbers are internal; page_map.c has the letters and names.
 */
enum page_show {
	SHOW_NO_RAM,		/* the address is not RAM */
	SHOW_NEVER,		/* RAM that was never written: it reads as zeroes */
	SHOW_HERE,		/* contents are here, and were not moved */
	SHOW_MISSING,		/* destination: not here */
	SHOW_REQUESTED,		/* destination: not here, a vCPU waits */
	SHOW_DEMANDED,		/* moved because a vCPU waited for it */
	SHOW_MOVED,		/* moved unasked (pushed) */
	SHOW_ZERO,		/* destination: known to be zeroes */
	SHOW_DIRTY,		/* source: a pass has sent it; written since */
	SHOW_POISONED,		/* lost */
	PAGE_SHOWS
};

#endif /* FERRY_PAGE_SHOW_H */
