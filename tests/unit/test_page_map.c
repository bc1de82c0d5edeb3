// SPDX-License-Identifier: MIT
/* test_page_map.c - Cells of the map of RAM, their changes, and their text */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "migration/page_holes.h"
#include "migration/pages/ledger.h"
#include "migration/pages/page_map.h"
#include "migration/pages/pages.h"
#include "vmm/base/page.h"

#define CELLS	10u
#define EACH	4u		/* pages of a cell */
#define PAGES	(CELLS * EACH)
#define BEGIN	0x100000ull

struct fixture {
	struct page_map m;
	uint8_t show[PAGES];
	char text[PAGE_MAP_TEXT(CELLS)];
};

static int set_up(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	assert_int_equal(page_map_init(&x->m, BEGIN, EACH * GUEST_PAGE_SIZE,
				       CELLS), 0);
	memset(x->show, SHOW_MISSING, PAGES);
	*state = x;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *x = *state;

	page_map_fini(&x->m);
	free(x);
	return 0;
}

static void scan(struct fixture *x)
{
	page_map_begin(&x->m);
	page_map_count(&x->m, BEGIN, x->show, PAGES);
	page_map_end(&x->m);
}

static const char *runs(struct fixture *x, uint32_t since)
{
	size_t len = page_map_runs(&x->m, since, x->text);

	assert_int_equal(len, strlen(x->text));
	return x->text;
}

static void a_cell_shows_most_of_its_pages(void **state)
{
	struct fixture *x = *state;

	memset(x->show + EACH, SHOW_MOVED, 3);
	memset(x->show + 2 * EACH, SHOW_ZERO, EACH);
	scan(x);
	assert_string_equal(runs(x, 0), "0:msz7m");
	assert_int_equal(x->m.pages[SHOW_MOVED], 3);
	assert_int_equal(x->m.pages[SHOW_ZERO], EACH);
	assert_int_equal(x->m.pages[SHOW_MISSING], PAGES - 3 - EACH);
}

static void one_page_is_enough_for_poison_and_requests(void **state)
{
	struct fixture *x = *state;

	x->show[3] = SHOW_POISONED;
	x->show[2] = SHOW_REQUESTED;
	x->show[EACH] = SHOW_REQUESTED;
	scan(x);
	assert_string_equal(runs(x, 0), "0:pr8m");
}

static void demanded_pages_leave_a_mark(void **state)
{
	struct fixture *x = *state;

	memset(x->show, SHOW_MOVED, PAGES);
	x->show[0] = SHOW_DEMANDED;
	memset(x->show + EACH, SHOW_DEMANDED, EACH);
	x->show[2 * EACH] = SHOW_DEMANDED;
	x->show[2 * EACH + 1] = SHOW_POISONED;
	scan(x);
	assert_string_equal(runs(x, 0), "0:s+dp+7s");
}

static void only_changes_follow_a_cursor(void **state)
{
	struct fixture *x = *state;
	uint32_t first;

	scan(x);
	first = x->m.serial;
	assert_string_equal(runs(x, 0), "0:10m");
	scan(x);
	assert_int_equal(x->m.serial, first);
	assert_string_equal(runs(x, first), "");
	memset(x->show, SHOW_MOVED, EACH);
	memset(x->show + 9 * EACH, SHOW_ZERO, EACH);
	scan(x);
	assert_string_equal(runs(x, first), "0:s,9:z");
	assert_string_equal(runs(x, x->m.serial), "");
	assert_string_equal(runs(x, 0), "0:s8mz");
}

/* Two starts cost more than the cells between them */
static void a_short_gap_is_written(void **state)
{
	struct fixture *x = *state;
	uint32_t first;

	scan(x);
	first = x->m.serial;
	memset(x->show, SHOW_MOVED, EACH);
	memset(x->show + 3 * EACH, SHOW_MOVED, EACH);
	scan(x);
	assert_string_equal(runs(x, first), "0:s2ms");
}

static void parts_may_begin_in_the_middle_of_a_cell(void **state)
{
	struct fixture *x = *state;

	memset(x->show, SHOW_MOVED, PAGES);
	page_map_begin(&x->m);
	page_map_count(&x->m, BEGIN, x->show, 6);
	page_map_count(&x->m, BEGIN + 6 * GUEST_PAGE_SIZE, x->show, 7);
	page_map_end(&x->m);
	/* 4 + 4 + 4 + 1 pages; the rest is not RAM */
	assert_string_equal(runs(x, 0), "0:4s6x");
	assert_int_equal(x->m.pages[SHOW_MOVED], 13);
}

/* Each cell differs from its neighbours, or changes alone: the text fits */
static void the_text_is_bounded(void **state)
{
	const size_t n = PAGE_MAP_CELLS;
	struct page_map m;
	uint8_t *show = malloc(n);
	char *text = malloc(PAGE_MAP_TEXT(n) + 1);

	(void)state;
	assert_int_equal(page_map_init(&m, 0, GUEST_PAGE_SIZE, n), 0);
	for (unsigned step = 1; step < 12; step++) {
		for (unsigned round = 0; round < 2; round++) {
			uint32_t since = round ? m.serial : 0;

			for (size_t i = 0; i < n; i++)
				show[i] = i % step ? SHOW_HERE : round ?
					  SHOW_MOVED : SHOW_DEMANDED;
			page_map_begin(&m);
			page_map_count(&m, 0, show, n);
			page_map_end(&m);
			text[PAGE_MAP_TEXT(n)] = '#';
			assert_true(page_map_runs(&m, since, text) <
				    PAGE_MAP_TEXT(n));
			assert_int_equal(text[PAGE_MAP_TEXT(n)], '#');
		}
	}
	page_map_fini(&m);
	free(show);
	free(text);
}

static void a_destination_shows_how_pages_arrived(void **state)
{
	uint8_t show[PAGES];
	struct pages t;

	(void)state;
	assert_int_equal(pages_init(&t, PAGES), 0);
	assert_true(pages_request(&t, 3));
	assert_true(pages_request(&t, 20));
	assert_int_equal(pages_claim(&t, 3, 2), 2);
	pages_show(&t, 0, PAGES, show);
	assert_int_equal(show[3], SHOW_REQUESTED);
	assert_int_equal(show[4], SHOW_MISSING);
	pages_placed(&t, 3, 2);
	assert_int_equal(pages_claim_poison(&t, 20, 2), 2);
	pages_poisoned(&t, 20, 2);
	assert_int_equal(pages_set_zero(&t, 8, 8), 8);
	pages_show(&t, 0, PAGES, show);
	assert_int_equal(show[2], SHOW_MISSING);
	assert_int_equal(show[3], SHOW_DEMANDED);
	assert_int_equal(show[4], SHOW_MOVED);
	assert_int_equal(show[8], SHOW_ZERO);
	assert_int_equal(show[15], SHOW_ZERO);
	assert_int_equal(show[20], SHOW_POISONED);
	assert_int_equal(show[21], SHOW_POISONED);
	/* A demanded page is lost like any other */
	assert_true(pages_lose(&t, 3));
	pages_show(&t, 3, 1, show);
	assert_int_equal(show[0], SHOW_POISONED);
	pages_fini(&t);
}

static void a_whole_chunk_of_zeroes_is_shown(void **state)
{
	uint8_t show[CHUNK_PAGES + 1];
	struct pages t;

	(void)state;
	assert_int_equal(pages_init(&t, 2 * CHUNK_PAGES), 0);
	pages_set_zero(&t, 0, CHUNK_PAGES);
	pages_show(&t, 0, CHUNK_PAGES + 1, show);
	assert_int_equal(show[0], SHOW_ZERO);
	assert_int_equal(show[CHUNK_PAGES - 1], SHOW_ZERO);
	assert_int_equal(show[CHUNK_PAGES], SHOW_MISSING);
	pages_fini(&t);
}

static void a_source_shows_what_it_sent(void **state)
{
	uint8_t show[PAGES];
	struct ledger l;

	(void)state;
	assert_int_equal(ledger_init(&l, PAGES), 0);
	assert_int_equal(ledger_take(&l, 5, 2), 2);
	assert_true(ledger_take_demanded(&l, 7));
	assert_false(ledger_take_demanded(&l, 5));
	ledger_show(&l, 4, 5, show);
	assert_int_equal(show[0], SHOW_HERE);
	assert_int_equal(show[1], SHOW_MOVED);
	assert_int_equal(show[2], SHOW_MOVED);
	assert_int_equal(show[3], SHOW_DEMANDED);
	assert_int_equal(show[4], SHOW_HERE);
	ledger_give_back(&l, 7, 1);
	ledger_show(&l, 7, 1, show);
	assert_int_equal(show[0], SHOW_HERE);
	ledger_fini(&l);
}

/* Page 70 is the only hole: a part may begin at any page */
static void holes_are_shown_in_any_part(void **state)
{
	uint64_t bits[3] = { 0, 1ull << (70 - 64), 0 };
	const struct page_holes h = { .bits = bits, .pages = 130 };
	uint8_t show[200];

	(void)state;
	for (size_t page = 0; page < 130; page++) {
		memset(show, SHOW_HERE, sizeof(show));
		show[199] = SHOW_MOVED;
		page_holes_show(&h, page, sizeof(show), show);
		for (size_t i = 0; i < 199; i++)
			assert_int_equal(show[i], page + i == 70 ? SHOW_NEVER
								 : SHOW_HERE);
		assert_int_equal(show[199], SHOW_MOVED);
	}
	memset(show, SHOW_MISSING, sizeof(show));
	page_holes_show(&h, 0, sizeof(show), show);
	assert_int_equal(show[70], SHOW_MISSING);
}

#define ON_MAP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_MAP(a_cell_shows_most_of_its_pages),
		ON_MAP(one_page_is_enough_for_poison_and_requests),
		ON_MAP(demanded_pages_leave_a_mark),
		ON_MAP(only_changes_follow_a_cursor),
		ON_MAP(a_short_gap_is_written),
		ON_MAP(parts_may_begin_in_the_middle_of_a_cell),
		cmocka_unit_test(the_text_is_bounded),
		cmocka_unit_test(a_destination_shows_how_pages_arrived),
		cmocka_unit_test(a_whole_chunk_of_zeroes_is_shown),
		cmocka_unit_test(a_source_shows_what_it_sent),
		cmocka_unit_test(holes_are_shown_in_any_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
