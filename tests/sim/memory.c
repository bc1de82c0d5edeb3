// SPDX-License-Identifier: MIT
/* memory.c - Memory of the code under test */

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "asan.h"
#include "memory.h"
#include "plan.h"
#include "wrap.h"

#define MAGIC		0x5115b10cu
#define FREED		0xf4eeb10cu
#define FILL_BYTES	1024	/* of a new block, at most */
#define FILL		0xa5
#define KEEP		(1 << 30)
#define LARGE_MIN	(32u << 10)
#define LARGE_MAX	(16u << 20)
#define REFUSED		(32u << 20)	/* only a peer announces so much */
#define KEPT_MAX	32
#define KEPT_WASTE	4	/* a kept block may be so many times too large */

/* Stands before each block; a multiple of 16 bytes */
struct block {
	struct block *prev, *next;
	void *raw;
	size_t align, size, room;
	uint64_t magic, unused;
	uint8_t poisoned[16];	/* with AddressSanitizer */
};

_Static_assert(sizeof(struct block) % 16 == 0, "alignment of blocks");

static struct block lists[SIDES] = {
	{ .prev = &lists[0], .next = &lists[0] },
	{ .prev = &lists[1], .next = &lists[1] },
	{ .prev = &lists[2], .next = &lists[2] },
};

/*
 * Large blocks that were freed, to be used again: AddressSanitizer's allocator
 * maps and unmaps each of them, which would be most of a run's time
 */
static struct block *kept[KEPT_MAX];
static unsigned kept_next;

void memory_setup(void)
{
	mallopt(M_MMAP_THRESHOLD, KEEP);
	mallopt(M_TRIM_THRESHOLD, KEEP);
	mallopt(M_TOP_PAD, 32 << 20);
}

/* A test's own memory, outside of a run, is never refused */
static bool allocation_fails(void)
{
	return sched_side() != SIDE_NONE && plan_fails(CALL_ALLOC);
}

static void block_keep(struct block *b)
{
	unsigned i = 0;

	while (i < KEPT_MAX && kept[i])
		i++;
	if (i == KEPT_MAX) {
		i = kept_next++ % KEPT_MAX;
		__real_free(kept[i]->raw);
	}
	kept[i] = b;
	asan_poison(b + 1, b->room);
}

/* The smallest one that is large enough, and not much too large */
static struct block *take_kept(size_t align, size_t size)
{
	struct block **best = NULL, *b;

	for (unsigned i = 0; i < KEPT_MAX; i++) {
		b = kept[i];
		if (b && b->align == align && b->room >= size &&
		    b->room / KEPT_WASTE <= size &&
		    (!best || b->room < (*best)->room))
			best = &kept[i];
	}
	if (!best)
		return NULL;
	b = *best;
	*best = NULL;
	asan_unpoison(b + 1, size);
	b->size = size;
	return b;
}

static struct block *block_allocate(size_t align, size_t size)
{
	/* No room after a block: AddressSanitizer sees what overruns it */
	const size_t room = sizeof(struct block) + (align > 16 ? align : 0);
	char *raw = __real_malloc(room + size);
	struct block *b;
	uintptr_t at;

	if (!raw)
		return NULL;
	at = ((uintptr_t)raw + sizeof(*b) + align - 1) / align * align;
	b = (struct block *)(at - sizeof(*b));
	*b = (struct block){ .raw = raw, .align = align, .size = size,
			     .room = size };
	asan_poison(b->poisoned, sizeof(b->poisoned));
	return b;
}

static void *block_new(size_t align, size_t size)
{
	struct block *b, *list = &lists[sched_side()];

	if (allocation_fails() || size >= REFUSED) {
		errno = ENOMEM;
		return NULL;
	}
	b = size >= LARGE_MIN ? take_kept(align, size) : NULL;
	if (!b)
		b = block_allocate(align, size);
	if (!b)
		return NULL;
	b->magic = MAGIC;
	b->prev = list;
	b->next = list->next;
	b->next->prev = b;
	list->next = b;
	return b + 1;
}

static struct block *block_of(void *p)
{
	return (struct block *)((uintptr_t)p - sizeof(struct block));
}

static void block_free(struct block *b)
{
	b->prev->next = b->next;
	b->next->prev = b->prev;
	b->magic = FREED;
	if (b->room >= LARGE_MIN && b->room <= LARGE_MAX)
		block_keep(b);
	else
		__real_free(b->raw);
}

void *__wrap_malloc(size_t size)
{
	void *p = block_new(16, size);

	if (p)
		memset(p, FILL, size < FILL_BYTES ? size : FILL_BYTES);
	return p;
}

void *__wrap_calloc(size_t n, size_t size)
{
	void *p = block_new(16, n * size);

	if (p)
		memset(p, 0, n * size);
	return p;
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	return block_new(align, size);
}

void __wrap_free(void *p)
{
	if (!p)
		return;
	if (block_of(p)->magic != MAGIC) {
		sim_fail("memory is freed twice, or was never allocated");
		return;
	}
	block_free(block_of(p));
}

void *__wrap_realloc(void *p, size_t size)
{
	size_t had = p ? block_of(p)->size : 0;
	void *to = __wrap_malloc(size);

	if (!to)
		return NULL;
	if (p)
		memcpy(to, p, had < size ? had : size);
	__wrap_free(p);
	return to;
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return __wrap_realloc(p, n * size);
}

char *__wrap_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = __wrap_malloc(n);

	return p ? memcpy(p, s, n) : NULL;
}

/* Only anonymous memory is mapped by the code under test */
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd,
		  off_t offset)
{
	void *p;

	if (sched_side() == SIDE_NONE)
		return __real_mmap(at, len, prot, flags, fd, offset);
	if (at || !(flags & MAP_ANONYMOUS))
		sim_fail("mmap() of what is not simulated");
	p = block_new(4096, len);
	if (!p)
		return MAP_FAILED;
	memset(p, 0, len);
	return p;
}

int __wrap_munmap(void *at, size_t len)
{
	if (sched_side() == SIDE_NONE)
		return __real_munmap(at, len);
	if (block_of(at)->size != len)
		sim_fail("munmap() of another length than mmap()");
	__wrap_free(at);
	return 0;
}

size_t memory_blocks(enum side side)
{
	size_t n = 0;

	for (struct block *b = lists[side].next; b != &lists[side];
	     b = b->next)
		n++;
	return n;
}

size_t memory_bytes(enum side side)
{
	size_t n = 0;

	for (struct block *b = lists[side].next; b != &lists[side];
	     b = b->next)
		n += b->size;
	return n;
}

void memory_relabel(enum side from, enum side to)
{
	struct block *a = &lists[from], *b = &lists[to];

	if (a->next == a)
		return;
	a->next->prev = b;
	a->prev->next = b->next;
	b->next->prev = a->prev;
	b->next = a->next;
	a->next = a->prev = a;
}

void memory_free_all(enum side side)
{
	if (side == SIDE_NONE) {
		memory_free_all(SIDE_SOURCE);
		memory_free_all(SIDE_TARGET);
		return;
	}
	while (lists[side].next != &lists[side])
		block_free(lists[side].next);
}
