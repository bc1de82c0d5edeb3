/* SPDX-License-Identifier: MIT */
/*
 * placement.h - How pages get into a destination's RAM
 *
 * One struct of ops for each kind of RAM; page_store_open() chooses. The
 * functions below them are what the placements share. placement.c knows no
 * placement, and no placement knows page_store.c: calls go one way.
 */
#ifndef FERRY_PLACEMENT_H
#define FERRY_PLACEMENT_H

#include "page_store.h"

/**
 * struct placement_ops - A placement; all pages are in RAM
 * @name:	for messages
 * @requests_max: REQUEST messages that one fault may cause
 * @init:	allocate; @s->table is ready. Return: 0, -ENOMEM
 * @fini:	free; fine without @init
 * @contents:	@n pages of contents have arrived
 * @block:	a block of contents has arrived; NULL: never moved
 * @zero:	@n pages are zeroes: place those that a vCPU waits for
 * @poison:	@n pages are lost
 * @fault:	page_store_fault()
 * @wanted:	what threads that wait for a page, or for the huge page that
 *		begins there, need from the source
 * @staged:	of @n pages that the table has not: set @have to HAVE_STAGED,
 *		_POISONED or _ABSENT. Return: pages of which that is true
 * @inject:	poison a page by a marker, on purpose; page_store_inject()
 * @settle:	page_store_settle()
 * @has_old:	are contents of a page here, staged or in place?
 * @replace:	overwrite pages of which that is true; @data: NULL for zeroes.
 *		Only before the hand-over
 * @discard:	page_store_discard()
 */
struct placement_ops {
	const char *name;
	size_t requests_max;
	int (*init)(struct page_store *s);
	void (*fini)(struct page_store *s);
	int (*contents)(struct page_store *s, size_t page, const uint8_t *data,
			size_t n, bool demanded, struct error *err);
	int (*block)(struct page_store *s, size_t page, struct huge_buffer *b,
		     struct error *err);
	int (*zero)(struct page_store *s, size_t page, size_t n, bool demanded,
		    struct error *err);
	int (*poison)(struct page_store *s, size_t page, size_t n,
		      bool delivered, struct error *err);
	int (*fault)(struct page_store *s, size_t page, unsigned vcpu,
		     bool ask, struct page_wants *wants, struct error *err);
	void (*wanted)(struct page_store *s, size_t page,
		       struct page_wants *wants);
	size_t (*staged)(const struct page_store *s, size_t page, size_t n,
			 enum page_have *have);
	int (*inject)(struct page_store *s, size_t page, struct error *err);
	int (*settle)(struct page_store *s, struct error *err);
	bool (*has_old)(const struct page_store *s, size_t page);
	int (*replace)(struct page_store *s, size_t page, const uint8_t *data,
		       size_t n, struct error *err);
	int (*discard)(struct page_store *s, size_t page, size_t n,
		       struct error *err);
};

extern const struct placement_ops placement_small;
extern const struct placement_ops placement_huge;

/** placement_hva() - Host address of a page */
void *placement_hva(const struct page_store *s, size_t page);

/** placement_gpa() - Guest-physical address of a page, for messages */
unsigned long long placement_gpa(const struct page_store *s, size_t page);

/**
 * placement_copy() - Place contents by UFFDIO_COPY
 * @s:		the store
 * @page:	first page
 * @data:	contents, or NULL for zeroes
 * @n:		pages
 * @done:	set to the pages placed, also on failure
 *
 * Repeats what fails for lack of memory, with increasing pauses, for a quarter
 * of a second: the kernel may reclaim some.
 *
 * Return: as uffd_copy()
 */
int placement_copy(struct page_store *s, size_t page, const uint8_t *data,
		   size_t n, size_t *done);

/**
 * placement_lost() - Pages were poisoned: count them, post them as one entry
 * @s:		the store
 * @page:	first page
 * @n:		pages, consecutive for the guest, too
 * @delivered:	the guest got a machine check for them before
 * @err:	why not
 *
 * To be called after the ioctl, so that no page is posted that keeps its
 * contents, and before the table counts the pages as poisoned. Pages that are
 * walled off are posted before: a vCPU that touches one asks the list. Takes no
 * lock.
 *
 * Return: 0, -errno
 */
int placement_lost(struct page_store *s, size_t page, size_t n,
		   bool delivered, struct error *err);

/**
 * placement_overwrite() - Replace the contents of a page that is in place
 * @s:		the store
 * @page:	the page, PRESENT; no vCPU runs
 * @data:	contents, or NULL for zeroes
 * @err:	why not
 *
 * The kernel copies (ram_write()). The page is there, so the copy waits for no
 * userfault, and a huge page is never half old.
 *
 * Return: 0, -errno
 */
int placement_overwrite(struct page_store *s, size_t page,
			const uint8_t *data, struct error *err);

/** placement_wake() - Threads that wait for these pages look again */
void placement_wake(struct page_store *s, size_t page, size_t n);

/** placement_want() - Add pages that are to be requested */
void placement_want(struct page_wants *w, size_t page);

#endif /* FERRY_PLACEMENT_H */
