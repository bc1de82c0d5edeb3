/* SPDX-License-Identifier: MIT */
/*
 * sent.h - Which pages of a source's RAM were handed over (pure)
 *
 * One atomic bit a page. The push and the demand thread both claim pages
 * before they send them, so that none is pushed twice.
 */
#ifndef FERRY_SENT_H
#define FERRY_SENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sent {
	_Atomic uint64_t *word;
	size_t n;			/* pages */
	_Atomic size_t left;		/* of them not claimed yet */
};

/**
 * sent_init() - A map in which no page is claimed
 * @s:		filled in
 * @n:		pages
 *
 * Return: 0, -ENOMEM
 */
int sent_init(struct sent *s, size_t n);

/** sent_fini() - Free it */
void sent_fini(struct sent *s);

/** sent_test() - Was a page claimed? */
bool sent_test(const struct sent *s, size_t i);

/**
 * sent_claim() - Claim the pages of a run that are free, up to the first that isn't
 * @s:		the map
 * @i:		first page
 * @max:	longest run wanted
 *
 * Return: how many were claimed, from @i on; 0 if @i itself is not free
 */
size_t sent_claim(struct sent *s, size_t i, size_t max);

/** sent_release() - A claimed page was not sent after all */
void sent_release(struct sent *s, size_t i);

/**
 * sent_next() - The first free page at or above one
 * @s:		the map
 * @i:		where to start
 *
 * Return: the page, or @s->n if there is none
 */
size_t sent_next(const struct sent *s, size_t i);

/**
 * sent_prev() - The last free page below one
 * @s:		the map
 * @i:		where to start, at most @s->n
 *
 * Return: the page, or @s->n if there is none
 */
size_t sent_prev(const struct sent *s, size_t i);

#endif /* FERRY_SENT_H */
