/* SPDX-License-Identifier: MIT */
/*
 * poison.h - The guest pages that can't be read any more
 *
 * A machine's list of them, which travels with the guest. Entries only come;
 * they go when the guest is reset (invariant 2). Sorted by address, no two
 * overlap. Safe from any thread.
 */
#ifndef FERRY_POISON_H
#define FERRY_POISON_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/bytes.h"
#include "vmm/base/error.h"

/* So many fit in one message of a migration */
#define POISON_MAX	(1u << 19)

/**
 * struct poison - One stretch of lost memory
 * @gpa:	guest-physical address
 * @size:	bytes
 * @delivered:	the guest was told of it by a machine check, or a record
 * @tell:	it shall be told, before it touches it. Stays here: where the
 *		guest goes it is told when it touches it
 */
struct poison {
	uint64_t gpa, size;
	bool delivered, tell;
};

struct poison_list {
	pthread_mutex_t lock;
	struct poison *entry;
	size_t n, cap;
};

/** poison_init() - An empty list */
void poison_init(struct poison_list *l);

/** poison_fini() - Free it */
void poison_fini(struct poison_list *l);

/**
 * poison_add() - Enter a stretch
 * @l:		the list
 * @p:		what to enter
 *
 * Parts that are known already keep their entries; the rest is entered.
 *
 * Return: 1 if any of it is new, 0 if all was known, -ENOMEM (also at
 *	   POISON_MAX entries)
 */
int poison_add(struct poison_list *l, const struct poison *p);

/** poison_clear() - Forget all: for a reset, with fresh RAM (invariant 2) */
void poison_clear(struct poison_list *l);

/**
 * poison_find() - Is a byte in the list?
 * @l:		the list
 * @gpa:	its address
 * @found:	set to the entry if it is; may be NULL
 *
 * Return: true if it is
 */
bool poison_find(struct poison_list *l, uint64_t gpa, struct poison *found);

/**
 * poison_untold() - What the guest shall be told of, and was not yet
 * @l:		the list
 * @first:	set to the first of these; may be NULL
 *
 * Return: true if there is one
 */
bool poison_untold(struct poison_list *l, struct poison *first);

/**
 * poison_delivered() - Note that the guest was told of a stretch
 * @l:		the list
 * @gpa:	where it starts
 * @size:	bytes
 */
void poison_delivered(struct poison_list *l, uint64_t gpa, uint64_t size);

/**
 * poison_copy() - A copy of the whole list as it is now
 * @l:		the list
 * @out:	set to an array to be freed, NULL if it's empty
 *
 * Return: number of entries, -ENOMEM
 */
int poison_copy(struct poison_list *l, struct poison **out);

/**
 * poison_save() - Append a list to a byte string
 * @p:		from poison_copy()
 * @n:		number of entries
 * @w:		to where
 */
void poison_save(const struct poison *p, size_t n, struct writer *w);

/**
 * poison_parse() - Read a list that poison_save() wrote
 * @r:		from where
 * @out:	set to an array to be freed, NULL if it's empty
 * @err:	why it can't be one
 *
 * Checks that entries ascend and don't overlap; whether they are RAM is
 * for the caller to check.
 *
 * Return: number of entries, -EBADMSG, -ENOMEM
 */
int poison_parse(struct reader *r, struct poison **out, struct error *err);

#endif /* FERRY_POISON_H */
