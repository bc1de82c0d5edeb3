/* SPDX-License-Identifier: MIT */
/*
 * page_scan.h - ioctl PAGEMAP_SCAN of /proc/PID/pagemap (Linux 6.7)
 *
 * Debian 12's headers lack it. Source: Documentation/admin-guide/mm/pagemap.rst
 */
#ifndef FERRY_PAGE_SCAN_H
#define FERRY_PAGE_SCAN_H

#include <stdint.h>
#include <sys/ioctl.h>

struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};

#define SCAN_IOCTL		_IOWR('f', 16, struct scan_arg)
#define SCAN_PRESENT		(1u << 3)
#define SCAN_SWAPPED		(1u << 4)
#define SCAN_PFNZERO		(1u << 5)
#define SCAN_HUGE		(1u << 6)

#endif /* FERRY_PAGE_SCAN_H */
