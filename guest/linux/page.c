// SPDX-License-Identifier: MIT
/*
 * page.c - What a page must hold, and where it is
 *
 * Each word is a function of the page's address, its generation, the seed and
 * the word's index, so old contents, another page's, another guest's and
 * shifted contents are detected. The address is the virtual one, because Linux
 * may move a page.
 */

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults.h"
#include "options.h"
#include "page.h"
#include "power.h"
#include "say.h"

#define BAD_LINES	8	/* per page */
#define WORD_STEP	0x9e3779b97f4a7c15ull

/* Documentation/admin-guide/mm/pagemap.rst */
#define PAGEMAP_PRESENT	(1ull << 63)
#define PAGEMAP_PFN	((1ull << 55) - 1)

static uint64_t page_first_word(const uint64_t *page, uint64_t gen)
{
	uint64_t x = (uintptr_t)page * 0xd6e8feb86659fd93ull ^ options.seed;

	x = (x ^ x >> 32) + gen * 0xa0761d6478bd642full;
	x *= 0xe7037ed1a0b428dbull;
	x = (x ^ x >> 29) * 0x8ebc6af09c88c6e3ull;
	return x ^ x >> 32;
}

void page_write(uint64_t *page, uint64_t gen)
{
	uint64_t first = page_first_word(page, gen);

	for (unsigned i = 0; i < PAGE_WORDS; i++)
		page[i] = first + i * WORD_STEP;
}

static unsigned page_report_bad(uint64_t *page, uint64_t gen,
				const char *workload)
{
	uint64_t first = page_first_word(page, gen), gpa = page_gpa(page);
	unsigned bad = 0;

	for (unsigned i = 0; i < PAGE_WORDS; i++) {
		uint64_t found = ((volatile uint64_t *)page)[i];
		uint64_t wanted = first + i * WORD_STEP;

		if (found == wanted)
			continue;
		if (bad++ < BAD_LINES)
			say("bad work=%s addr=%p gpa=0x%llx word=%u wanted=0x%llx found=0x%llx gen=%llu",
			    workload, (void *)&page[i],
			    (unsigned long long)gpa + i * sizeof(uint64_t), i,
			    (unsigned long long)wanted,
			    (unsigned long long)found,
			    (unsigned long long)gen);
	}
	say("badpage work=%s addr=%p gpa=0x%llx words=%u", workload,
	    (void *)page, (unsigned long long)gpa, bad);
	faults_add(bad);
	page_write(page, gen);
	return bad;
}

unsigned page_check(uint64_t *page, uint64_t gen, const char *workload)
{
	uint64_t first = page_first_word(page, gen), wrong = 0;

	/* Read memory, not the values that the compiler knows were written */
	__asm__ volatile("" : : : "memory");
	for (unsigned i = 0; i < PAGE_WORDS; i++)
		wrong |= page[i] ^ (first + i * WORD_STEP);
	return wrong ? page_report_bad(page, gen, workload) : 0;
}

void *page_map(void *at, uint64_t pages)
{
	void *p = mmap(at, pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1,
		       0);

	if (p == MAP_FAILED) {
		say("error memory=%llu reason=cannot-map",
		    (unsigned long long)pages * PAGE_BYTES);
		power_off();
	}
	/* A lost page must not take its neighbours with it */
	madvise(p, pages * PAGE_BYTES, MADV_NOHUGEPAGE);
	return p;
}

uint64_t page_gpa(const void *page)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry),
		  (off_t)((uintptr_t)page / PAGE_BYTES * sizeof(entry))) !=
	    sizeof(entry))
		entry = 0;
	close(fd);
	return entry & PAGEMAP_PRESENT ? (entry & PAGEMAP_PFN) * PAGE_BYTES
				       : 0;
}
