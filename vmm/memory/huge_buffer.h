/* SPDX-License-Identifier: MIT */
/*
 * huge_buffer.h - A buffer of 2 MiB that is one transparent huge page
 *
 * What was received into it can be moved into guest RAM as it is
 * (uffd_move()): 10 us instead of the 600 us that it takes to copy 2 MiB into
 * small pages, and the guest gets a huge page. The kernel may have none to
 * give; the caller needs another buffer then.
 */
#ifndef FERRY_HUGE_BUFFER_H
#define FERRY_HUGE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct huge_buffer - See above; all zeroes: none
 * @map:	the mapping, from which @data is cut
 * @data:	RAM_HUGE bytes, aligned to that
 * @pagemap:	/proc/self/pagemap, the caller's
 * @ready:	@data is one huge page
 * @limit_ns:	processor time that a huge page is worth, and a twentieth of the
 *		time that may pass
 * @skip:	calls of huge_buffer_get() that do not ask the kernel
 * @pause:	@skip after the next failure
 */
struct huge_buffer {
	uint8_t *map, *data;
	int pagemap;
	bool ready;
	uint64_t limit_ns;
	unsigned skip, pause;
};

/*
 * To clear 2 MiB takes the kernel some 250 us, to copy them into small pages
 * 600 us to 850 us (docs/performance.md). In a virtual machine whose host has
 * taken back the memory it can be 10 ms.
 */
#define HUGE_BUFFER_LIMIT_NS	1000000

/**
 * huge_buffer_init() - Reserve the addresses, and no memory
 * @b:		filled in
 * @pagemap:	/proc/self/pagemap, open as long as the buffer is used; -1:
 *		huge_buffer_get() always returns NULL
 *
 * Return: 0, -errno
 */
int huge_buffer_init(struct huge_buffer *b, int pagemap);

/**
 * huge_buffer_get() - The buffer, if it is or becomes one huge page
 * @b:		the buffer
 *
 * Takes the kernel's time to clear 2 MiB, unless the page is still there. After
 * a failure, or if that took more than @limit_ns, the next calls fail at once:
 * 3, then 15, 63, 255.
 *
 * Return: RAM_HUGE bytes; NULL if the kernel gives no huge page, or lacks
 *	   MADV_POPULATE_WRITE (Linux 5.14) or PAGEMAP_SCAN (Linux 6.7)
 */
uint8_t *huge_buffer_get(struct huge_buffer *b);

/** huge_buffer_moved() - Some of its pages were moved away: drop the others */
void huge_buffer_moved(struct huge_buffer *b);

/** huge_buffer_fini() - Unmap it; fine on one that is all zeroes */
void huge_buffer_fini(struct huge_buffer *b);

#endif /* FERRY_HUGE_BUFFER_H */
