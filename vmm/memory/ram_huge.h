/* SPDX-License-Identifier: MIT */
/*
 * ram_huge.h - Guest RAM of huge pages: hugetlbfs, 2 MiB each
 *
 * Memory is lost in small pages: machine checks, the poison list and the
 * migration protocol all use GUEST_PAGE_SIZE. But a userfaultfd marker covers a
 * whole huge page. So where a part of one must be unreadable, small pages
 * replace it: ram_split().
 */
#ifndef FERRY_RAM_HUGE_H
#define FERRY_RAM_HUGE_H

#include <sys/types.h>

#include "ram.h"
#include "vmm/base/page.h"

#define HUGE_PAGES	((size_t)(RAM_HUGE / GUEST_PAGE_SIZE))

/**
 * ram_map_huge() - Map RAM of huge pages, for ram_create()
 * @ram:	size and backing are set
 * @err:	what the pool of huge pages lacks, and the remedy
 *
 * Return: 0, -errno
 */
int ram_map_huge(struct ram *ram, struct error *err);

/** ram_renew_huge() - ram_renew() for huge pages; split ones are huge again */
int ram_renew_huge(struct ram *ram, struct error *err);

/** ram_drop_huge() - ram_drop() for huge pages */
int ram_drop_huge(struct ram *ram, uint64_t offset, size_t len,
		  struct error *err);

/** ram_is_huge() - Is the page at an offset a huge page? */
bool ram_is_huge(const struct ram *ram, uint64_t offset);

/**
 * ram_read_around() - Read what is left of a huge page that lost a part
 * @ram:	the RAM
 * @offset:	where from
 * @to:		where to
 * @len:	bytes; no byte after the huge page is read
 *
 * Reads the file, for which Linux 6.6 and newer know exactly which small pages
 * are lost. With older kernels nothing is read.
 *
 * Return: bytes read, up to the next lost page; 0 if the page at @offset is
 *	   lost; -1 if the kernel can't tell, or it is not a huge page
 */
ssize_t ram_read_around(const struct ram *ram, uint64_t offset, void *to,
			size_t len);

/**
 * ram_split() - Replace a huge page by small ones
 * @ram:	the RAM
 * @offset:	of the huge page
 * @data:	its contents, RAM_HUGE bytes
 * @lost:	HUGE_PAGES entries: true for each small page to be poisoned,
 *		whose contents are ignored
 * @uffd:	a userfaultfd, which makes the poison
 * @err:	the reason on failure
 *
 * The caller ensures that no thread writes to the huge page meanwhile: the page
 * is missing, so that a thread which touches it waits. The small pages appear
 * in one step, complete; the caller then wakes the waiting threads.
 *
 * Return: 0; -errno, and nothing has changed
 */
int ram_split(struct ram *ram, uint64_t offset, const uint8_t *data,
	      const bool *lost, int uffd, struct error *err);

#endif /* FERRY_RAM_HUGE_H */
