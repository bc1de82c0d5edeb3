// SPDX-License-Identifier: MIT
/*
 * cache.c - Pages that the kernel itself reads
 *
 * Linux outlives a lost page that it only copies in from user space
 * (copy_from_user(): the caller gets EFAULT and a SIGBUS). It can't when the
 * page is its own: here one of its page cache, which pread() copies out of.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "linux.h"

static uint64_t *base;
static int file = -1;

void cache_start(void)
{
	size_t size = options.victims * PAGE_BYTES;

	file = memfd_create("cache", MFD_CLOEXEC);
	if (file < 0 || ftruncate(file, (off_t)size)) {
		say("error cache=memfd reason=cannot-be-made");
		return;
	}
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (base == MAP_FAILED) {
		say("error cache=mmap reason=cannot-be-mapped");
		return;
	}
	for (uint64_t n = 0; n < options.victims; n++) {
		uint64_t *page = base + n * PAGE_WORDS;

		page_write(page, 0);
		say("cache n=%llu addr=%p gpa=0x%llx", (unsigned long long)n,
		    (void *)page, (unsigned long long)page_gpa(page));
	}
}

void cache_read(uint64_t n)
{
	static uint64_t copy[PAGE_WORDS];
	ssize_t got;

	if (file < 0 || n >= options.victims) {
		say("error command=kread n=%llu reason=no-such-page",
		    (unsigned long long)n);
		return;
	}
	got = pread(file, copy, sizeof(copy), (off_t)(n * PAGE_BYTES));
	say("kread n=%llu got=%zd", (unsigned long long)n, got);
}
