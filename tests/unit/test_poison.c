// SPDX-License-Identifier: MIT
/* test_poison.c - The list of lost pages: sorted, nothing lost, nothing twice */

#include "unit.h"

#include "vmm/memory/poison.h"

#define PAGE 0x1000ull

static void add(struct poison_list *l, uint64_t gpa, uint64_t size, int rc)
{
	struct poison p = { .gpa = gpa, .size = size };

	assert_int_equal(poison_add(l, &p), rc);
}

static void save(struct poison_list *l, struct writer *w)
{
	struct poison *p;
	int n = poison_copy(l, &p);

	assert_true(n >= 0);
	poison_save(p, (size_t)n, w);
	free(p);
}

/* Ascending, no two overlapping, none empty */
static void check_order(struct poison_list *l)
{
	struct poison *p;
	int n = poison_copy(l, &p);
	uint64_t end = 0;

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		assert_true(p[i].size > 0);
		assert_true(p[i].gpa >= end);
		end = p[i].gpa + p[i].size;
	}
	free(p);
}

static int setup(void **state)
{
	struct poison_list *l = malloc(sizeof(*l));

	if (l)
		poison_init(l);
	*state = l;
	return !l;
}

static int teardown(void **state)
{
	poison_fini(*state);
	free(*state);
	return 0;
}

static void empty_list(void **state)
{
	struct poison_list *l = *state;
	struct poison *p = (void *)1;

	assert_false(poison_find(l, 0, NULL));
	assert_int_equal(poison_copy(l, &p), 0);
	assert_null(p);
}

static void found_by_any_byte_of_it(void **state)
{
	struct poison_list *l = *state;
	struct poison p;

	add(l, 5 * PAGE, PAGE, 1);
	assert_false(poison_find(l, 5 * PAGE - 1, NULL));
	assert_true(poison_find(l, 5 * PAGE, &p));
	assert_true(p.gpa == 5 * PAGE && p.size == PAGE && !p.delivered);
	assert_true(poison_find(l, 6 * PAGE - 1, NULL));
	assert_false(poison_find(l, 6 * PAGE, NULL));
}

static void known_is_not_new(void **state)
{
	struct poison_list *l = *state;

	add(l, 5 * PAGE, PAGE, 1);
	add(l, 5 * PAGE, PAGE, 0);
	assert_int_equal(l->n, 1);
}

static void delivered_stays(void **state)
{
	struct poison_list *l = *state;
	struct poison p = { .gpa = PAGE, .size = PAGE, .delivered = true };

	add(l, PAGE, PAGE, 1);
	assert_int_equal(poison_add(l, &p), 0);
	assert_true(poison_find(l, PAGE, &p) && p.delivered);
	add(l, PAGE, PAGE, 0);
	assert_true(poison_find(l, PAGE, &p) && p.delivered);

	add(l, 3 * PAGE, PAGE, 1);
	poison_delivered(l, 3 * PAGE, PAGE);
	assert_true(poison_find(l, 3 * PAGE, &p) && p.delivered);
	poison_delivered(l, 9 * PAGE, PAGE);	/* unknown: nothing happens */
	assert_int_equal(l->n, 2);
}

static void only_what_the_host_found_is_unreported(void **state)
{
	struct poison_list *l = *state;
	struct poison p = { .gpa = 5 * PAGE, .size = PAGE, .report = true };

	add(l, PAGE, PAGE, 1);
	assert_false(poison_unreported(l, NULL));
	assert_int_equal(poison_add(l, &p), 1);
	p.gpa = 3 * PAGE;
	assert_int_equal(poison_add(l, &p), 1);
	assert_true(poison_unreported(l, &p) && p.gpa == 3 * PAGE);
	poison_delivered(l, 3 * PAGE, PAGE);
	assert_true(poison_unreported(l, &p) && p.gpa == 5 * PAGE);
	poison_delivered(l, 5 * PAGE, PAGE);
	assert_false(poison_unreported(l, NULL));
}

static void a_neighbour_keeps_its_own_entry(void **state)
{
	struct poison_list *l = *state;
	struct poison p;

	add(l, 3 * PAGE, PAGE, 1);
	poison_delivered(l, 3 * PAGE, PAGE);
	add(l, PAGE, 3 * PAGE, 1);
	assert_true(poison_find(l, 2 * PAGE, &p) && !p.delivered);
	assert_true(poison_find(l, 3 * PAGE, &p) && p.delivered);
	check_order(l);
}

static void delivered_is_for_a_whole_stretch(void **state)
{
	struct poison_list *l = *state;
	struct poison p;

	add(l, PAGE, PAGE, 1);
	add(l, 3 * PAGE, 2 * PAGE, 1);
	add(l, 9 * PAGE, PAGE, 1);
	poison_delivered(l, PAGE, 5 * PAGE);
	assert_true(poison_find(l, PAGE, &p) && p.delivered);
	assert_true(poison_find(l, 4 * PAGE, &p) && p.delivered);
	assert_true(poison_find(l, 9 * PAGE, &p) && !p.delivered);
}

static void delivered_ends_with_the_range(void **state)
{
	struct poison_list *l = *state;
	struct poison p;

	add(l, PAGE, PAGE, 1);
	add(l, 2 * PAGE, PAGE, 1);
	poison_delivered(l, PAGE, PAGE);
	assert_true(poison_find(l, PAGE, &p) && p.delivered);
	assert_true(poison_find(l, 2 * PAGE, &p) && !p.delivered);
}

static void a_cleared_list_is_empty(void **state)
{
	struct poison_list *l = *state;

	add(l, PAGE, PAGE, 1);
	poison_clear(l);
	assert_false(poison_find(l, PAGE, NULL));
	add(l, PAGE, PAGE, 1);
	assert_int_equal(l->n, 1);
}

/* A 2 MiB error around pages that are known already: all of it is lost */
static void no_byte_of_a_stretch_is_forgotten(void **state)
{
	struct poison_list *l = *state;

	add(l, 3 * PAGE, PAGE, 1);
	add(l, 6 * PAGE, PAGE, 1);
	add(l, PAGE, 8 * PAGE, 1);
	for (uint64_t i = 1; i < 9; i++)
		if (!poison_find(l, i * PAGE, NULL))
			fail_msg("page %d of 1 to 8 was forgotten", (int)i);
	check_order(l);
}

static void a_stretch_that_begins_in_a_known_one(void **state)
{
	struct poison_list *l = *state;
	struct poison p = { .gpa = PAGE, .size = 4 * PAGE };

	add(l, PAGE, PAGE, 1);
	assert_true(poison_add(l, &p) >= 0);
	for (uint64_t i = 1; i < 5; i++)
		if (!poison_find(l, i * PAGE, NULL))
			fail_msg("page %d of 1 to 4 was forgotten", (int)i);
	check_order(l);
}

/* Random single pages against a plain table of them */
static void random_pages(void **state)
{
	struct poison_list *l = *state;
	bool want[512] = { 0 };
	uint64_t seed = 7;
	size_t runs = 0;

	for (int i = 0; i < 400; i++) {
		unsigned page = dice(&seed) % 512;

		add(l, page * PAGE, PAGE, !want[page]);
		want[page] = true;
	}
	for (unsigned i = 0; i < 512; i++) {
		assert_int_equal(poison_find(l, i * PAGE + i, NULL), want[i]);
		runs += want[i] && (!i || !want[i - 1]);
	}
	assert_int_equal(l->n, runs);
	check_order(l);
}

/* An entry for each run, whatever the order in which its pages are added */
static void neighbours_share_an_entry(void **state)
{
	struct poison_list *l = *state;
	struct poison p;

	for (uint64_t i = 0; i < 512; i += 2)
		add(l, i * PAGE, PAGE, 1);
	assert_int_equal(l->n, 256);
	for (uint64_t i = 1; i < 512; i += 2)
		add(l, i * PAGE, PAGE, 1);
	assert_int_equal(l->n, 1);
	assert_true(poison_find(l, 100 * PAGE, &p));
	assert_true(p.gpa == 0 && p.size == 512 * PAGE);
	add(l, 600 * PAGE, PAGE, 1);
	add(l, 599 * PAGE, PAGE, 1);
	assert_int_equal(l->n, 2);
	check_order(l);
}

/* The flag of one page of an entry divides the entry */
static void flags_keep_neighbours_apart(void **state)
{
	struct poison_list *l = *state;
	struct poison told = { .gpa = 20 * PAGE, .size = 2 * PAGE,
			       .delivered = true };
	struct poison p;

	add(l, 10 * PAGE, 10 * PAGE, 1);
	poison_delivered(l, 13 * PAGE, PAGE);
	assert_int_equal(l->n, 3);
	assert_true(poison_find(l, 12 * PAGE, &p) && !p.delivered);
	assert_true(p.gpa == 10 * PAGE && p.size == 3 * PAGE);
	assert_true(poison_find(l, 13 * PAGE, &p) && p.delivered);
	assert_true(p.size == PAGE);
	assert_true(poison_find(l, 14 * PAGE, &p) && !p.delivered);
	assert_true(p.gpa == 14 * PAGE && p.size == 6 * PAGE);
	check_order(l);

	poison_delivered(l, 9 * PAGE, 3 * PAGE);
	poison_delivered(l, 12 * PAGE, PAGE);
	assert_int_equal(l->n, 2);
	assert_true(poison_find(l, 10 * PAGE, &p) && p.size == 4 * PAGE);
	assert_int_equal(poison_add(l, &told), 1);
	assert_int_equal(l->n, 3);
	poison_delivered(l, 0, 100 * PAGE);
	assert_int_equal(l->n, 1);
	assert_true(poison_find(l, 10 * PAGE, &p) && p.size == 12 * PAGE);
}

/* One page at a time is reported, also from an entry of several */
static void a_run_is_reported_page_by_page(void **state)
{
	struct poison_list *l = *state;
	struct poison p = { .gpa = 3 * PAGE, .size = PAGE, .report = true };

	for (uint64_t i = 0; i < 3; i++, p.gpa += PAGE)
		assert_int_equal(poison_add(l, &p), 1);
	assert_int_equal(l->n, 1);
	for (uint64_t i = 3; i < 6; i++) {
		assert_true(poison_unreported(l, &p));
		assert_true(p.gpa == i * PAGE && p.size == PAGE);
		poison_delivered(l, p.gpa, p.size);
	}
	assert_false(poison_unreported(l, NULL));
	assert_int_equal(l->n, 1);
}

/* The limit is one of runs: 2^19 pages in a row are one entry */
static void the_limit_counts_runs(void **state)
{
	struct poison_list *l = *state;

	for (uint64_t i = 0; i < POISON_MAX + 10ull; i++)
		add(l, i * PAGE, PAGE, 1);
	assert_int_equal(l->n, 1);
	assert_true(poison_find(l, (POISON_MAX + 9ull) * PAGE, NULL));
}

static void what_is_saved_is_read(void **state)
{
	struct poison_list *l = *state;
	struct poison *in, *out;
	struct writer w = { 0 };
	struct error err = { 0 };
	struct reader r;
	int n;

	for (unsigned i = 0; i < 100; i++)
		add(l, i * 3 * PAGE, PAGE << (i & 1), 1);
	poison_delivered(l, 3 * PAGE, 2 * PAGE);
	save(l, &w);
	r = (struct reader){ .data = w.data, .len = w.len };
	n = poison_parse(&r, &out, &err);
	assert_int_equal(n, 100);
	assert_true(reader_done(&r));
	assert_int_equal(poison_copy(l, &in), 100);
	for (int i = 0; i < n; i++) {
		assert_true(in[i].gpa == out[i].gpa);
		assert_true(in[i].size == out[i].size);
		assert_int_equal(in[i].delivered, out[i].delivered);
	}
	free(in);
	free(out);
	writer_free(&w);
}

static void nothing_saved_is_nothing_read(void **state)
{
	struct writer w = { 0 };
	struct error err = { 0 };
	struct poison *out;
	struct reader r;

	save(*state, &w);
	assert_int_equal(w.len, 4);
	r = (struct reader){ .data = w.data, .len = w.len };
	assert_int_equal(poison_parse(&r, &out, &err), 0);
	assert_true(reader_done(&r));
	free(out);
	writer_free(&w);
}

static void put(struct writer *w, uint64_t gpa, uint64_t size)
{
	put_u64(w, gpa);
	put_u64(w, size);
	put_u8(w, 0);
}

static void refuse(struct writer *w, const char *words)
{
	struct reader r = { .data = w->data, .len = w->len };
	struct poison *out = (void *)1;
	struct error err = { 0 };

	assert_refused(poison_parse(&r, &out, &err), EBADMSG, err, words);
	assert_null(out);
	writer_free(w);
}

static void garbage_is_refused(void **state)
{
	struct writer w = { 0 };

	(void)state;
	put_u32(&w, 2);			/* two said, one there */
	put(&w, PAGE, PAGE);
	refuse(&w, "2 entries");

	put_u32(&w, UINT32_MAX);
	put(&w, PAGE, PAGE);
	refuse(&w, "4294967295 entries");

	put_u32(&w, 2);			/* descending */
	put(&w, 2 * PAGE, PAGE);
	put(&w, PAGE, PAGE);
	refuse(&w, "bad entry 1 at 0x1000");

	put_u32(&w, 2);			/* overlapping */
	put(&w, PAGE, 2 * PAGE);
	put(&w, 2 * PAGE, PAGE);
	refuse(&w, "bad entry 1 at 0x2000");

	put_u32(&w, 1);			/* empty */
	put(&w, PAGE, 0);
	refuse(&w, "bad entry 0");

	put_u32(&w, 1);			/* past the end of the address space */
	put(&w, PAGE, UINT64_MAX);
	refuse(&w, "bad entry 0");
}

/* Less than the count itself is no list, not an empty one */
static void truncated_count_is_refused(void **state)
{
	static const uint8_t three[3];
	struct reader r = { .data = three, .len = 3 };
	struct error err = { 0 };
	struct poison *out;
	int n = poison_parse(&r, &out, &err);

	(void)state;
	free(out);
	assert_int_equal(n, -EBADMSG);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(empty_list),
		CASE(found_by_any_byte_of_it),
		CASE(known_is_not_new),
		CASE(delivered_stays),
		CASE(only_what_the_host_found_is_unreported),
		CASE(a_neighbour_keeps_its_own_entry),
		CASE(delivered_is_for_a_whole_stretch),
		CASE(delivered_ends_with_the_range),
		CASE(a_cleared_list_is_empty),
		CASE(no_byte_of_a_stretch_is_forgotten),
		CASE(a_stretch_that_begins_in_a_known_one),
		CASE(random_pages),
		CASE(neighbours_share_an_entry),
		CASE(flags_keep_neighbours_apart),
		CASE(a_run_is_reported_page_by_page),
		CASE(the_limit_counts_runs),
		CASE(what_is_saved_is_read),
		CASE(nothing_saved_is_nothing_read),
		CASE(garbage_is_refused),
		CASE(truncated_count_is_refused),
	};

	return cmocka_run_group_tests_name("poison", tests, NULL, NULL);
}
