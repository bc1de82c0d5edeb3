// SPDX-License-Identifier: MIT
/*
 * test_block.c - 2 MiB that arrive at once are moved into RAM as a huge page
 *
 * Real memory and a real userfaultfd, no KVM, no session. Where the kernel has
 * no UFFDIO_MOVE or gives no transparent huge pages, what needs them is skipped.
 */

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "unit.h"

#include "migration/pages/page_store.h"
#include "vmm/memory/poison.h"
#include "vmm/memory/uffd.h"

#define RAM_BYTES	(16 * MIB)
#define BLOCK		WIRE_BLOCK_PAGES
#define OTHER		0x11	/* a byte that block_fill() does not write */

struct fixture {
	struct ram ram;
	struct poison_list poison;
	struct page_stats stats;
	struct page_store s;
	struct huge_buffer huge;
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
	assert_int_equal(huge_buffer_init(&x->huge, x->ram.pagemap), 0);
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

	huge_buffer_fini(&x->huge);
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

/* The buffer with a block in it, or the end of the test */
static void block_fill(struct fixture *x, size_t first)
{
	uint8_t *data = huge_buffer_get(&x->huge);

	if (!data) {
		print_message("# no transparent huge page can be had here\n");
		skip();
	}
	for (size_t i = 0; i < BLOCK; i++)
		memset(data + i * WIRE_PAGE, byte_of(first + i), WIRE_PAGE);
}

static struct wire_msg block_message(size_t first)
{
	return (struct wire_msg){ .type = WIRE_MSG_PAGES,
				  .length = WIRE_BLOCK,
				  .a = first * WIRE_PAGE, .b = BLOCK };
}

static void block_arrives(struct fixture *x, size_t first)
{
	struct wire_msg m = block_message(first);
	struct error err = { 0 };

	assert_true(page_store_takes_block(&x->s, &m));
	block_fill(x, first);
	if (page_store_block(&x->s, &m, &x->huge, &err))
		fail_msg("%s", err.text);
}

/* A page by itself, with other contents than block_fill()'s */
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

/* Each page of a block as block_fill() wrote it, but for one */
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

	for (size_t first = 0; first < 4 * BLOCK; first += BLOCK)
		block_arrives(x, first);
	for (size_t first = 0; first < 4 * BLOCK; first += BLOCK)
		assert_block(x, first, SIZE_MAX);
	assert_int_equal(x->stats.pages[COUNT_PUSH], 4 * BLOCK);
	assert_int_equal(x->s.table.present, 4 * BLOCK);
	kernel_must_move(x);
	assert_int_equal(x->stats.blocks, 4);
	assert_false(x->huge.ready);
}

/* A page table is there: its pages are copied, and the buffer stays */
static void a_block_that_is_awaited_is_copied(void **state)
{
	struct fixture *x = *state;

	assert_true(pages_request(&x->s.table, BLOCK + 5));
	block_arrives(x, BLOCK);
	assert_block(x, BLOCK, SIZE_MAX);
	assert_int_equal(x->stats.blocks, 0);
	assert_int_equal(x->s.table.present, BLOCK);
	assert_true(x->huge.ready);
	assert_true(x->s.can_move);
}

static void what_is_there_stays(void **state)
{
	struct fixture *x = *state;

	page_arrives(x, WIRE_MSG_PAGES, BLOCK + 300, false);
	page_arrives(x, WIRE_MSG_POISON, 2 * BLOCK + 300, false);
	block_arrives(x, BLOCK);
	block_arrives(x, 2 * BLOCK);
	assert_block(x, BLOCK, BLOCK + 300);
	assert_page(x, BLOCK + 300, OTHER);
	assert_block(x, 2 * BLOCK, 2 * BLOCK + 300);
	assert_int_equal(ram_probe(&x->ram, (2 * BLOCK + 300) * WIRE_PAGE),
			 -EHWPOISON);
	assert_int_equal(x->stats.pages[COUNT_PUSH], 2 * BLOCK - 1);
	assert_int_equal(x->s.table.poisoned, 1);
	assert_int_equal(x->stats.blocks, 0);
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

	moving = x;
	x->s.call.move = interrupt_move;
	block_arrives(x, BLOCK);
	assert_block(x, BLOCK, BLOCK + 100);
	assert_page(x, BLOCK + 100, OTHER);
	assert_int_equal(x->s.table.present, BLOCK);
	assert_int_equal(x->stats.pages[COUNT_PUSH], BLOCK - 1);
	assert_int_equal(x->stats.pages[COUNT_DEMAND], 1);
	/* Half of the buffer is gone: the next block needs another one */
	x->s.call.move = uffd_move;
	block_arrives(x, 2 * BLOCK);
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

	x->s.call.move = refuse_move;
	move_error = -EBUSY;
	block_arrives(x, 0);
	assert_block(x, 0, SIZE_MAX);
	assert_true(x->s.can_move);
	assert_true(x->huge.ready);
	move_error = -ENOTTY;
	block_arrives(x, BLOCK);
	assert_block(x, BLOCK, SIZE_MAX);
	assert_false(x->s.can_move);
	assert_int_equal(x->s.table.present, 2 * BLOCK);
	assert_int_equal(x->stats.pages[COUNT_PUSH], 2 * BLOCK);
}

static void shared_memory_takes_no_block(void **state)
{
	struct fixture *x = *state;
	struct wire_msg m = block_message(0);

	assert_false(page_store_takes_block(&x->s, &m));
}

static void runs_are_no_block(void **state)
{
	struct fixture *x = *state;
	struct wire_msg m = block_message(0);

	m.b = WIRE_RUN_PAGES;
	m.length = WIRE_RUN_PAGES * WIRE_PAGE;
	assert_false(page_store_takes_block(&x->s, &m));
}

/* The kernel gives small pages only: rarely asked, and never taken for huge */
static void without_huge_pages(void **state)
{
	struct fixture *x = *state;
	unsigned asked = 0;

	assert_int_equal(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
	for (unsigned i = 0; i < 1000; i++) {
		asked += !x->huge.skip;
		assert_null(huge_buffer_get(&x->huge));
	}
	assert_int_equal(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0);
	assert_true(asked > 5 && asked < 15);
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
		CASE(a_page_comes_during_the_move),
		CASE(a_refused_move_is_a_copy),
		CASE(runs_are_no_block),
		CASE(without_huge_pages),
		cmocka_unit_test(without_a_page_map),
		cmocka_unit_test_setup_teardown(shared_memory_takes_no_block,
						setup_memfd, teardown),
	};

	return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
