// SPDX-License-Identifier: MIT
/*
 * test_block.c - 2 MiB that arrive run by run are moved into RAM as a huge page
 *
 * Real memory and a real userfaultfd, no KVM, no session. Where the kernel has
 * no UFFDIO_MOVE or gives no transparent huge pages, what needs them is skipped.
 */

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "unit.h"

#include "migration/pages/block.h"
#include "vmm/memory/poison.h"
#include "vmm/memory/uffd.h"

#define RAM_BYTES	(16 * MIB)
#define BLOCK		((size_t)CHUNK_PAGES)
#define OTHER		0x11	/* a byte that run_arrives() does not write */

struct fixture {
	struct ram ram;
	struct poison_list poison;
	struct page_stats stats;
	struct page_store s;
	struct block b;
};

/* What is done in the middle of a move, by interrupt_move() */
static struct fixture *moving;

static int on_poisoned(void *ctx, uint64_t gpa, uint64_t size, bool delivered)
{
	struct poison p = { .gpa = gpa, .size = size,
			    .delivered = delivered };
	struct fixture *x = ctx;

	return poison_add(&x->poison, &p) < 0 ? -ENOMEM : 0;
}

static int setup_ram(void **state, enum ram_backing backing)
{
	struct fixture *x = calloc(1, sizeof(*x));
	const struct page_store_events ev = { .ctx = x,
					      .poisoned = on_poisoned };
	struct error err = { 0 };

	*state = x;
	if (ram_create(&x->ram, RAM_BYTES, backing, &err))
		fail_msg("%s", err.text);
	poison_init(&x->poison);
	page_store_init(&x->s, &x->stats, &ev, true);
	if (page_store_open(&x->s, &x->ram, &err))
		fail_msg("%s", err.text);
	block_init(&x->b, &x->s);
	/* However slow this machine is, but for one test */
	x->b.huge.limit_ns = UINT64_MAX;
	return 0;
}

static int setup(void **state)
{
	return setup_ram(state, RAM_ANON);
}

static int setup_memfd(void **state)
{
	return setup_ram(state, RAM_MEMFD);
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	block_fini(&x->b);
	page_store_close(&x->s);
	page_store_fini(&x->s);
	poison_fini(&x->poison);
	ram_destroy(&x->ram);
	free(x);
	return 0;
}

static uint8_t byte_of(size_t page)
{
	return (uint8_t)(0x80 | page % 97);
}

/* One run of a block. Return: true if it was collected */
static bool run_arrives(struct fixture *x, size_t page, size_t n)
{
	struct wire_msg m = {
		.type = WIRE_MSG_PAGES, .a = page * WIRE_PAGE, .b = n,
		.length = (uint32_t)(n * WIRE_PAGE),
	};
	struct error err = { 0 };
	uint8_t *room = block_room(&x->b, &x->s, &m), *to = room;
	int rc = 0;

	if (!room && x->b.n) {
		rc = block_flush(&x->b, &x->s, &err);
		to = room = block_room(&x->b, &x->s, &m);
	}
	if (!room)
		to = malloc(m.length);
	for (size_t i = 0; i < n; i++)
		memset(to + i * WIRE_PAGE, byte_of(page + i), WIRE_PAGE);
	if (!rc)
		rc = room ? block_add(&x->b, &x->s, &m, &err)
			  : page_store_message(&x->s, &m, to, false, &err);
	if (rc)
		fail_msg("%s", err.text);
	if (!room)
		free(to);
	return room;
}

/* All runs of a block, in order. Return: true if they were collected */
static bool block_arrives(struct fixture *x, size_t first)
{
	bool all = true;

	for (size_t i = 0; i < BLOCK; i += WIRE_RUN_PAGES)
		all &= run_arrives(x, first + i, WIRE_RUN_PAGES);
	return all;
}

/* What these tests need of the kernel, or the end of the test */
static void huge_pages_needed(struct fixture *x)
{
	if (huge_buffer_get(&x->b.huge))
		return;
	print_message("# no transparent huge page can be had here\n");
	skip();
}

/* Collected, unless the kernel has just refused another huge page */
static void assert_collected(struct fixture *x, bool collected)
{
	if (!collected)
		huge_pages_needed(x);
	assert_true(collected);
}

/* A page by itself, with other contents than run_arrives()'s */
static void page_arrives(struct fixture *x, enum wire_type type, size_t page,
			 bool demanded)
{
	struct wire_msg m = { .type = type, .a = page * WIRE_PAGE, .b = 1 };
	uint8_t data[WIRE_PAGE];
	struct error err = { 0 };

	memset(data, OTHER, sizeof(data));
	if (type == WIRE_MSG_PAGES)
		m.length = WIRE_PAGE;
	if (page_store_message(&x->s, &m, data, demanded, &err))
		fail_msg("%s", err.text);
}

static void assert_page(struct fixture *x, size_t page, uint8_t byte)
{
	uint8_t data[WIRE_PAGE];

	assert_int_equal(ram_read(&x->ram, page * WIRE_PAGE, data,
				  sizeof(data)), 0);
	for (size_t i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], byte);
}

/* Each page of a block as run_arrives() wrote it, but for one */
static void assert_block(struct fixture *x, size_t first, size_t but)
{
	for (size_t i = first; i < first + BLOCK; i++)
		if (i != but)
			assert_page(x, i, byte_of(i));
}

static void kernel_must_move(const struct fixture *x)
{
	if (x->s.can_move)
		return;
	print_message("# this kernel has no UFFDIO_MOVE (Linux 6.8 or newer has)\n");
	skip();
}

static void a_block_is_moved(void **state)
{
	struct fixture *x = *state;

	huge_pages_needed(x);
	for (size_t first = 0; first < 4 * BLOCK; first += BLOCK)
		assert_collected(x, block_arrives(x, first));
	for (size_t first = 0; first < 4 * BLOCK; first += BLOCK)
		assert_block(x, first, SIZE_MAX);
	assert_int_equal(x->stats.pages[COUNT_PUSH], 4 * BLOCK);
	assert_int_equal(x->stats.bytes,
			 4 * (8 * WIRE_HEADER + BLOCK * WIRE_PAGE));
	assert_int_equal(x->s.table.present, 4 * BLOCK);
	kernel_must_move(x);
	assert_int_equal(x->stats.blocks, 4);
	assert_false(x->b.huge.ready);
}

/* It has a page table: its pages are copied */
static void a_block_that_is_awaited_is_copied(void **state)
{
	struct fixture *x = *state;

	huge_pages_needed(x);
	assert_true(pages_request(&x->s.table, BLOCK + 5));
	assert_false(block_arrives(x, BLOCK));
	/* The same, while it is collected: the buffer stays */
	assert_collected(x, run_arrives(x, 2 * BLOCK, 64));
	assert_true(pages_request(&x->s.table, 2 * BLOCK + 5));
	for (size_t i = 64; i < BLOCK; i += 64)
		assert_collected(x, run_arrives(x, 2 * BLOCK + i, 64));
	assert_block(x, BLOCK, SIZE_MAX);
	assert_block(x, 2 * BLOCK, SIZE_MAX);
	assert_int_equal(x->stats.blocks, 0);
	assert_int_equal(x->s.table.present, 2 * BLOCK);
	assert_true(x->b.huge.ready);
	assert_true(x->s.can_move);
}

static void what_is_there_stays(void **state)
{
	struct fixture *x = *state;

	huge_pages_needed(x);
	page_arrives(x, WIRE_MSG_PAGES, BLOCK + 300, false);
	page_arrives(x, WIRE_MSG_POISON, 2 * BLOCK + 300, false);
	assert_false(block_arrives(x, BLOCK));
	assert_false(block_arrives(x, 2 * BLOCK));
	/* And if it comes while the block is collected */
	for (size_t i = 0; i < BLOCK; i += 64) {
		assert_collected(x, run_arrives(x, 3 * BLOCK + i, 64));
		if (i == 128)
			page_arrives(x, WIRE_MSG_POISON, 3 * BLOCK + 5, false);
	}
	assert_block(x, BLOCK, BLOCK + 300);
	assert_page(x, BLOCK + 300, OTHER);
	assert_block(x, 2 * BLOCK, 2 * BLOCK + 300);
	assert_block(x, 3 * BLOCK, 3 * BLOCK + 5);
	assert_int_equal(ram_probe(&x->ram, (2 * BLOCK + 300) * WIRE_PAGE),
			 -EHWPOISON);
	assert_int_equal(ram_probe(&x->ram, (3 * BLOCK + 5) * WIRE_PAGE),
			 -EHWPOISON);
	assert_int_equal(x->stats.pages[COUNT_PUSH], 3 * BLOCK - 2);
	assert_int_equal(x->s.table.poisoned, 2);
	assert_int_equal(x->stats.blocks, 0);
}

/* Nothing may be lost of what was collected, nor be placed elsewhere */
static void a_block_that_does_not_go_on(void **state)
{
	struct fixture *x = *state;
	struct wire_msg beyond = { .type = WIRE_MSG_PAGES, .b = 64,
				   .length = 64 * WIRE_PAGE };
	struct error err = { 0 };

	huge_pages_needed(x);
	/* The next run is of another block */
	assert_collected(x, run_arrives(x, BLOCK, 64));
	assert_collected(x, run_arrives(x, 3 * BLOCK, 64));
	assert_collected(x, run_arrives(x, 2 * BLOCK, 64));
	assert_collected(x, run_arrives(x, 2 * BLOCK + 64, 60));
	/* A page is left out */
	assert_false(run_arrives(x, 2 * BLOCK + 125, 3));
	/* One that would go beyond the end */
	for (size_t i = 0; i < 460; i += 46)
		assert_collected(x, run_arrives(x, 4 * BLOCK + i, 46));
	beyond.a = (4 * BLOCK + 460) * WIRE_PAGE;
	assert_null(block_room(&x->b, &x->s, &beyond));
	assert_int_equal(x->s.table.present, 64 + 64 + 124 + 3);
	assert_int_equal(block_flush(&x->b, &x->s, &err), 0);
	assert_int_equal(block_flush(&x->b, &x->s, &err), 0);
	assert_int_equal(x->s.table.present, 64 + 64 + 124 + 3 + 460);
	for (size_t i = 0; i < 64; i++) {
		assert_page(x, BLOCK + i, byte_of(BLOCK + i));
		assert_page(x, 3 * BLOCK + i, byte_of(3 * BLOCK + i));
	}
	for (size_t i = 0; i < 128; i++)
		if (i != 124)
			assert_page(x, 2 * BLOCK + i, byte_of(2 * BLOCK + i));
	for (size_t i = 0; i < 460; i++)
		assert_page(x, 4 * BLOCK + i, byte_of(4 * BLOCK + i));
}

static void only_the_beginning_of_a_block_begins_one(void **state)
{
	struct fixture *x = *state;
	struct wire_msg m = { .type = WIRE_MSG_PAGES, .b = 64,
			      .length = 64 * WIRE_PAGE };

	huge_pages_needed(x);
	m.a = 64 * WIRE_PAGE;
	assert_null(block_room(&x->b, &x->s, &m));
	m.a = RAM_BYTES;	/* no RAM */
	assert_null(block_room(&x->b, &x->s, &m));
	m.a = RAM_BYTES - MIB;	/* half a block */
	assert_null(block_room(&x->b, &x->s, &m));
	m.a = 0;
	m.type = WIRE_MSG_ZERO;
	assert_null(block_room(&x->b, &x->s, &m));
	m.type = WIRE_MSG_PAGES;
	assert_non_null(block_room(&x->b, &x->s, &m));
}

/* The fault thread places a page of the block at the last moment */
static int interrupt_move(int fd, void *dst, void *src, size_t len,
			  size_t *done)
{
	page_arrives(moving, WIRE_MSG_PAGES, BLOCK + 100, true);
	return uffd_move(fd, dst, src, len, done);
}

static void a_page_comes_during_the_move(void **state)
{
	struct fixture *x = *state;

	huge_pages_needed(x);
	moving = x;
	x->s.call.move = interrupt_move;
	assert_collected(x, block_arrives(x, BLOCK));
	assert_block(x, BLOCK, BLOCK + 100);
	assert_page(x, BLOCK + 100, OTHER);
	assert_int_equal(x->s.table.present, BLOCK);
	assert_int_equal(x->stats.pages[COUNT_PUSH], BLOCK - 1);
	assert_int_equal(x->stats.pages[COUNT_DEMAND], 1);
	/* Half of the buffer is gone: the next block needs another one */
	x->s.call.move = uffd_move;
	assert_collected(x, block_arrives(x, 2 * BLOCK));
	assert_block(x, 2 * BLOCK, SIZE_MAX);
}

static int move_error;

static int refuse_move(int fd, void *dst, void *src, size_t len, size_t *done)
{
	(void)fd;
	(void)dst;
	(void)src;
	(void)len;
	*done = 0;
	return move_error;
}

static void a_refused_move_is_a_copy(void **state)
{
	struct fixture *x = *state;

	huge_pages_needed(x);
	x->s.call.move = refuse_move;
	move_error = -EBUSY;
	assert_collected(x, block_arrives(x, 0));
	assert_block(x, 0, SIZE_MAX);
	assert_true(x->s.can_move);
	assert_true(x->b.huge.ready);
	move_error = -ENOTTY;
	assert_collected(x, block_arrives(x, BLOCK));
	assert_block(x, BLOCK, SIZE_MAX);
	assert_false(x->s.can_move);
	assert_false(block_arrives(x, 2 * BLOCK));
	assert_int_equal(x->s.table.present, 3 * BLOCK);
	assert_int_equal(x->stats.pages[COUNT_PUSH], 3 * BLOCK);
}

static void shared_memory_is_not_moved(void **state)
{
	struct fixture *x = *state;

	assert_false(page_store_can_move(&x->s));
	assert_false(block_arrives(x, 0));
	assert_block(x, 0, SIZE_MAX);
}

/* The kernel gives small pages only: rarely asked, and never taken for huge */
static void without_huge_pages(void **state)
{
	struct fixture *x = *state;
	unsigned asked = 0;

	assert_int_equal(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
	for (unsigned i = 0; i < 1000; i++) {
		asked += !x->b.huge.skip;
		assert_null(huge_buffer_get(&x->b.huge));
	}
	assert_int_equal(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0);
	assert_true(asked > 5 && asked < 15);
}

/* They cost more than they save: what there is is used, and seldom another */
static void expensive_huge_pages(void **state)
{
	struct fixture *x = *state;
	unsigned asked = 0, got = 0;

	huge_pages_needed(x);
	huge_buffer_moved(&x->b.huge);
	x->b.huge.limit_ns = 0;
	for (unsigned i = 0; i < 1000; i++) {
		asked += !x->b.huge.skip;
		if (!huge_buffer_get(&x->b.huge))
			continue;
		got++;
		huge_buffer_moved(&x->b.huge);
	}
	assert_true(asked > 5 && asked < 15);
	assert_true(got && got <= asked);
	/* They are cheap again */
	x->b.huge.limit_ns = UINT64_MAX;
	x->b.huge.skip = 0;
	huge_pages_needed(x);
	assert_int_equal(x->b.huge.skip, 0);
	assert_int_equal(x->b.huge.pause, 0);
}

static void without_a_page_map(void **state)
{
	struct huge_buffer b;

	(void)state;
	assert_int_equal(huge_buffer_init(&b, -1), 0);
	assert_null(huge_buffer_get(&b));
	huge_buffer_fini(&b);
	huge_buffer_fini(&b);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_block_is_moved),
		CASE(a_block_that_is_awaited_is_copied),
		CASE(what_is_there_stays),
		CASE(a_block_that_does_not_go_on),
		CASE(only_the_beginning_of_a_block_begins_one),
		CASE(a_page_comes_during_the_move),
		CASE(a_refused_move_is_a_copy),
		CASE(without_huge_pages),
		CASE(expensive_huge_pages),
		cmocka_unit_test(without_a_page_map),
		cmocka_unit_test_setup_teardown(shared_memory_is_not_moved,
						setup_memfd, teardown),
	};

	return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
