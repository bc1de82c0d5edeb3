// SPDX-License-Identifier: MIT
/*
 * cache.c - Pages that the kernel itself reads
 *
 * Linux survives a lost page that it copies from user space
 * (copy_from_user(): the caller gets EFAULT and a SIGBUS). It panics when the
 * page is its own: here one of the page cache, from which pread() copies.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache.h"
#include "options.h"
#include "page.h"
#include "say.h"

static uint64_t *cache_base;
static int cache_fd = -1;

void cache_start(void)
{
	size_t size = options.victims * PAGE_BYTES;

	cache_fd = memfd_create("cache", MFD_CLOEXEC);
	if (cache_fd < 0 || ftruncate(cache_fd, (off_t)size)) {
		say("error cache=memfd reason=cannot-be-made");
		return;
	}
	cache_base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			  cache_fd, 0);
	if (cache_base == MAP_FAILED) {
		say("error cache=mmap reason=cannot-be-mapped");
		return;
	}
	for (uint64_t n = 0; n < options.victims; n++) {
		uint64_t *page = cache_base + n * PAGE_WORDS;

		page_write(page, 0);
		say("cache n=%llu addr=%p gpa=0x%llx", (unsigned long long)n,
		    (void *)page, (unsigned long long)page_gpa(page));
	}
}

void cache_read(uint64_t n)
{
	static uint64_t copy[PAGE_WORDS];
	ssize_t got;

	if (cache_fd < 0 || n >= options.victims) {
		say("error command=kread n=%llu reason=no-such-page",
		    (unsigned long long)n);
		return;
	}
	got = pread(cache_fd, copy, sizeof(copy), (off_t)(n * PAGE_BYTES));
	say("kread n=%llu got=%zd", (unsigned long long)n, got);
}
