/* SPDX-License-Identifier: MIT */
/*
 * huge.h - Pages into a destination's RAM of huge pages
 *
 * The wire and the table have small pages, userfaultfd places huge ones. So
 * what arrives is claimed in the table and gathered in a buffer; when no page of
 * a huge page is missing any more, it's placed whole. If one of them is lost,
 * small pages are put in its place (ram_split()), and only the lost one is
 * poison.
 *
 * A page that waits in a buffer is PLACING. It counts as what it was.
 */
#ifndef FERRY_HUGE_H
#define FERRY_HUGE_H

#include "migration/session/target.h"
#include "vmm/memory/ram_huge.h"

/**
 * huge_new() - Begin, with nothing gathered
 * @t:		the target, whose machine has RAM of huge pages
 *
 * Return: 0 with @t->huge set, -ENOMEM
 */
int huge_new(struct target *t);

/** huge_free() - Throw away what is gathered; fine if there is nothing */
void huge_free(struct target *t);

/** huge_pages() - target_place() for huge pages, by the page's number */
int huge_pages(struct target *t, size_t page, const uint8_t *data, size_t n,
	       enum page_count kind, struct error *err);

/** huge_zero() - target_zero() for huge pages */
int huge_zero(struct target *t, size_t page, size_t n, struct error *err);

/** huge_poison() - target_poison() for huge pages */
int huge_poison(struct target *t, size_t page, size_t n, bool delivered,
		struct error *err);

/**
 * huge_settle() - Place all huge pages of which nothing is missing any more
 * @t:		the target; nothing is done if its RAM is of small pages
 * @err:	why not
 *
 * For pages that became zeroes by the table alone: nobody asked then.
 *
 * Return: 0, -errno
 */
int huge_settle(struct target *t, struct error *err);

/**
 * huge_touch() - Somebody waits for a huge page
 * @t:		the target
 * @first:	its first small page
 * @wanted:	HUGE_PAGES of them: set to those that the caller shall ask for
 * @err:	why not
 *
 * Places it if nothing of it is missing.
 *
 * Return: 1 if it is in place already, 0, -errno
 */
int huge_touch(struct target *t, size_t first, bool *wanted,
	       struct error *err);

/**
 * huge_inject() - A page is to be poisoned on purpose, by simulation
 * @t:		the target
 * @page:	which
 * @err:	why not
 *
 * Return: 0 if it will be (nobody can touch it before), 1 to have it done in
 *	   the ordinary way, -EAGAIN
 */
int huge_inject(struct target *t, size_t page, struct error *err);

#endif /* FERRY_HUGE_H */
