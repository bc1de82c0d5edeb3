// SPDX-License-Identifier: MIT
/*
 * test_batch.c - A run of pages becomes messages; a lost page is lost alone
 * (invariant 3)
 */

#include <unistd.h>

#include "unit.h"

#include "migration/pages/page_source.h"
#include "vmm/memory/uffd.h"

#define RAM_BYTES	(16 * MIB)

struct fixture {
	struct ram ram;
	struct page_stats stats;
	struct page_source p;
	struct batch b;
	uint64_t lost[8];
	unsigned lost_n;
};

static void on_lost(void *ctx, uint64_t gpa)
{
	struct fixture *x = ctx;

	assert_true(x->lost_n < 8);
	x->lost[x->lost_n++] = gpa;
}

static int setup_ram(void **state, enum ram_backing backing)
{
	struct fixture *x = calloc(1, sizeof(*x));
	struct error err = { 0 };

	*state = x;
	assert_int_equal(ram_create(&x->ram, RAM_BYTES, backing, &err), 0);
	assert_int_equal(page_source_init(&x->p, &x->ram, &x->stats, on_lost,
					  x), 0);
	assert_int_equal(page_source_batch(&x->p, &x->b), 0);
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

	batch_fini(&x->b);
	page_source_fini(&x->p);
	ram_destroy(&x->ram);
	free(x);
	return 0;
}

static void poison(struct fixture *x, size_t page)
{
	void *at = x->ram.base + page * WIRE_PAGE;
	struct error err = { 0 };
	size_t done;
	int fd = uffd_open(true, &err);

	if (fd < 0)
		fail_msg("%s", err.text);
	assert_int_equal(uffd_register(fd, at, WIRE_PAGE, UFFD_MISSING, &err),
			 0);
	assert_int_equal(uffd_poison(fd, at, WIRE_PAGE, &done), 0);
	assert_int_equal(uffd_unregister(fd, at, WIRE_PAGE), 0);
	close(fd);
}

static void assert_message(const struct batch *b, unsigned i,
			   enum wire_type type, uint64_t gpa, uint64_t n)
{
	struct error err = { 0 };
	struct wire_msg m;

	assert_true(i < b->headers);
	assert_int_equal(wire_get(b->header[i], &m, &err), 0);
	assert_int_equal(m.type, type);
	assert_int_equal(m.a, gpa);
	assert_int_equal(m.b, n);
}

static void each_kind_is_a_message(void **state)
{
	struct fixture *x = *state;
	struct error err = { 0 };

	memset(x->ram.base + 10 * WIRE_PAGE, 0x77, 20 * WIRE_PAGE);
	x->ram.base[41 * WIRE_PAGE + WIRE_PAGE - 1] = 1;
	poison(x, 5);
	poison(x, 35);
	poison(x, 36);
	assert_int_equal(batch_fill(&x->b, 0, 64, &err), 0);
	assert_int_equal(x->b.headers, 9);
	assert_message(&x->b, 0, WIRE_MSG_ZERO, 0, 5);
	assert_message(&x->b, 1, WIRE_MSG_POISON, 0x5000, 1);
	assert_message(&x->b, 2, WIRE_MSG_ZERO, 0x6000, 4);
	assert_message(&x->b, 3, WIRE_MSG_PAGES, 0xa000, 20);
	assert_message(&x->b, 4, WIRE_MSG_ZERO, 30 * WIRE_PAGE, 5);
	assert_message(&x->b, 5, WIRE_MSG_POISON, 35 * WIRE_PAGE, 2);
	assert_message(&x->b, 6, WIRE_MSG_ZERO, 37 * WIRE_PAGE, 4);
	assert_message(&x->b, 7, WIRE_MSG_PAGES, 41 * WIRE_PAGE, 1);
	assert_message(&x->b, 8, WIRE_MSG_ZERO, 42 * WIRE_PAGE, 22);
	assert_int_equal(x->b.data_pages, 21);
	assert_int_equal(x->b.lost_pages, 3);
	assert_int_equal(x->b.iovs, 11);
	assert_int_equal(x->lost_n, 3);
	assert_int_equal(x->lost[0], 0x5000);
	assert_int_equal(x->lost[2], 36 * WIRE_PAGE);
}

static void counts_by_kind(void **state)
{
	struct fixture *x = *state;
	struct error err = { 0 };

	memset(x->ram.base, 0x77, 3 * WIRE_PAGE);
	poison(x, 4);
	assert_int_equal(batch_fill(&x->b, 0, 5, &err), 0);
	page_source_sent(&x->p, &x->b, COUNT_PUSH);
	page_source_sent(&x->p, &x->b, PAGE_COUNTS);
	assert_int_equal(x->stats.pages[COUNT_PUSH], 3);
	assert_int_equal(x->stats.pages[COUNT_ZERO], 1);
	assert_int_equal(x->stats.pages[COUNT_POISON], 1);
	assert_int_equal(x->stats.bytes, 2 * (3 * WIRE_HEADER +
					      3 * WIRE_PAGE));
}

static void outside_ram_is_an_error(void **state)
{
	struct fixture *x = *state;
	struct error err = { 0 };

	assert_refused(batch_fill(&x->b, RAM_BYTES / WIRE_PAGE - 1, 2, &err),
		       ERANGE, err, "cannot read guest RAM");
}

/* As for lack of memory: the kernel does not say that the page is poisoned */
static void an_error_is_not_poison(void **state)
{
	struct fixture *x = *state;
	struct error err = { 0 };

	assert_int_equal(ftruncate(x->ram.memfd, RAM_BYTES / 2), 0);
	assert_refused(batch_fill(&x->b, RAM_BYTES / 2 / WIRE_PAGE - 1, 2,
				  &err), EFAULT, err,
		       "cannot read guest RAM");
	assert_int_equal(x->lost_n, 0);
}

/* RAM goes on at 4 GiB: no message is for pages on both sides of the hole */
static void no_message_spans_the_hole(void **state)
{
	const size_t low = RAM_LOW_MAX / WIRE_PAGE;
	struct error err = { 0 };
	struct batch b;
	struct ram ram;

	(void)state;
	/* Never written, so it takes no memory */
	assert_int_equal(ram_create(&ram, RAM_LOW_MAX + RAM_BYTES, RAM_ANON,
				    &err), 0);
	memset(ram.base + (low - 1) * WIRE_PAGE, 1, 2 * WIRE_PAGE);
	assert_int_equal(batch_init(&b, &ram, on_lost, NULL), 0);
	assert_int_equal(batch_fill(&b, low - 2, 4, &err), 0);
	assert_int_equal(b.headers, 4);
	assert_message(&b, 0, WIRE_MSG_ZERO, RAM_LOW_MAX - 2 * WIRE_PAGE, 1);
	assert_message(&b, 1, WIRE_MSG_PAGES, RAM_LOW_MAX - WIRE_PAGE, 1);
	assert_message(&b, 2, WIRE_MSG_PAGES, RAM_HIGH_GPA, 1);
	assert_message(&b, 3, WIRE_MSG_ZERO, RAM_HIGH_GPA + WIRE_PAGE, 1);
	batch_fini(&b);
	ram_destroy(&ram);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_kind_is_a_message),
		CASE(counts_by_kind),
		CASE(outside_ram_is_an_error),
		cmocka_unit_test(no_message_spans_the_hole),
		cmocka_unit_test_setup_teardown(an_error_is_not_poison,
						setup_memfd, teardown),
	};

	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
