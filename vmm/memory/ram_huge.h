/* SPDX-License-Identifier: MIT */
/*
 * ram_huge.h - Guest RAM of huge pages: hugetlbfs, 2 MiB each
 *
 * The kernel loses memory in small pages, and so does the guest: its machine
 * checks, the poison list and the wire all name 4 KiB. But a userfaultfd marker
 * covers a whole huge page. So where a part of one must be unreadable, small
 * pages take its place: ram_split().
 */
#ifndef FERRY_RAM_HUGE_H
#define FERRY_RAM_HUGE_H

#include <sys/types.h>

#include "ram.h"

#define HUGE_PAGES	512u	/* small pages in a huge one */

/**
 * ram_map_huge() - Map RAM of huge pages, for ram_create()
 * @ram:	size and backing are set
 * @err:	why not: what is missing of the pool, and how to get it
 *
 * Return: 0, -errno
 */
int ram_map_huge(struct ram *ram, struct error *err);

/** ram_renew_huge() - ram_renew() for huge pages, which are all huge again */
int ram_renew_huge(struct ram *ram, struct error *err);

/** ram_is_huge() - Is it a huge page that holds this offset? */
bool ram_is_huge(const struct ram *ram, uint64_t offset);

/**
 * ram_read_around() - Read of a huge page that lost a part what it still has
 * @ram:	the RAM
 * @offset:	from where
 * @to:		to where
 * @len:	bytes; up to the end of the huge page is read
 *
 * By the file, for which Linux 6.6 and newer say exactly which small pages are
 * lost; older ones read nothing here.
 *
 * Return: bytes read, up to the next lost page; 0 if that is at @offset; -1
 *	   if it can't be told, or it isn't a huge page
 */
ssize_t ram_read_around(const struct ram *ram, uint64_t offset, void *to,
			size_t len);

/**
 * ram_split() - Put small pages in the place of a huge one
 * @ram:	the RAM
 * @offset:	of the huge page
 * @data:	its contents, RAM_HUGE bytes
 * @lost:	HUGE_PAGES of them: true for each small page to be poisoned; its
 *		contents aren't looked at
 * @uffd:	a userfaultfd, to make the poison with
 * @err:	why not
 *
 * Nobody may write to the huge page meanwhile: it is missing, or whoever
 * touches it waits. They see the small pages, complete, from one moment to
 * the next; whoever waits is to be woken then.
 *
 * Return: 0, -errno: then nothing has changed
 */
int ram_split(struct ram *ram, uint64_t offset, const uint8_t *data,
	      const bool *lost, int uffd, struct error *err);

#endif /* FERRY_RAM_HUGE_H */
