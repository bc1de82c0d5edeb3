// SPDX-License-Identifier: MIT
/* test_poison.c - The list of lost pages: sorted, nothing lost, nothing twice */

#include <pthread.h>

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

/* ---- Posts: by threads that wait for no other one ---- */

static void post(struct poison_list *l, uint64_t gpa, uint64_t size)
{
	struct poison p = { .gpa = gpa, .size = size };

	assert_int_equal(poison_post(l, &p), 0);
}

/* The lock's holder is preempted: a post must not wait (it would for ever) */
static void a_post_takes_no_lock(void **state)
{
	struct poison_list *l = *state;

	pthread_mutex_lock(&l->lock);
	for (uint64_t i = 0; i < POISON_POSTS; i++)
		post(l, 2 * i * PAGE, PAGE);
	pthread_mutex_unlock(&l->lock);
	assert_int_equal(l->n, 0);
	assert_true(poison_find(l, 0, NULL));
	assert_int_equal(l->n, POISON_POSTS);
	assert_int_equal(l->posted, 0);
}

/* A writer is preempted between its slot's states: others are seen */
static void an_unfinished_post_hides_no_other(void **state)
{
	struct poison_list *l = *state;

	l->post[0].state = POST_WRITING;
	post(l, 0, PAGE);
	post(l, 2 * PAGE, PAGE);
	assert_true(poison_find(l, 0, NULL));
	assert_true(poison_find(l, 2 * PAGE, NULL));
	assert_int_equal(l->n, 2);
	assert_int_equal(l->post[0].state, POST_WRITING);
}

static void read_find(struct poison_list *l)
{
	assert_true(poison_find(l, PAGE, NULL));
}

static void read_copy(struct poison_list *l)
{
	struct poison *p;

	assert_int_equal(poison_copy(l, &p), 1);
	assert_int_equal(p->gpa, PAGE);
	free(p);
}

static void read_head(struct poison_list *l)
{
	struct poison_sum sum;
	struct poison p;

	assert_int_equal(poison_head(l, &p, 1, &sum), 0);
	assert_int_equal(p.gpa, PAGE);
	assert_int_equal(sum.ranges, 1);
}

static void read_add(struct poison_list *l)
{
	add(l, PAGE, PAGE, 0);
}

static void read_delivered(struct poison_list *l)
{
	poison_delivered(l, PAGE, PAGE);
	assert_true(l->entry[0].delivered);
}

static void read_news(struct poison_list *l)
{
	struct poison p;
	size_t more;

	assert_int_equal(poison_take_news(l, &p, 1, &more), 1);
	assert_int_equal(p.gpa, PAGE);
}

static void read_clear(struct poison_list *l)
{
	struct poison *p;

	poison_clear(l);
	assert_int_equal(poison_copy(l, &p), 0);
}

/* Each function that reads the list sees what was posted before */
static void no_reader_misses_a_post(void **state)
{
	static void (*const reader[])(struct poison_list *) = {
		read_find, read_copy, read_head, read_add, read_delivered, read_news,
		read_clear,
	};
	struct poison_list *l = *state;

	for (unsigned i = 0; i < sizeof(reader) / sizeof(reader[0]); i++) {
		poison_clear(l);
		post(l, PAGE, PAGE);
		reader[i](l);
		assert_int_equal(l->posted, 0);
	}
}

static void the_head_is_bounded_the_sum_is_not(void **state)
{
	struct poison_list *l = *state;
	struct poison p[3] = { [2] = { .gpa = 1 } };
	struct poison_sum sum;

	for (uint64_t i = 0; i < 5; i++)
		add(l, 2 * i * PAGE, PAGE, 1);
	assert_int_equal(poison_head(l, p, 2, &sum), 0);
	assert_int_equal(p[1].gpa, 2 * PAGE);
	assert_int_equal(p[2].gpa, 1);
	assert_int_equal(sum.ranges, 5);
	assert_int_equal(sum.bytes, 5 * PAGE);
	poison_clear(l);
	assert_int_equal(poison_head(l, p, 2, &sum), 0);
	assert_int_equal(sum.ranges, 0);
	assert_int_equal(sum.bytes, 0);
}

/* More than there are slots: what does not fit is entered at once */
static void a_full_inbox_is_emptied(void **state)
{
	struct poison_list *l = *state;

	for (uint64_t i = 0; i < 3 * POISON_POSTS; i++)
		post(l, 2 * i * PAGE, PAGE);
	for (uint64_t i = 0; i < 3 * POISON_POSTS; i++)
		assert_true(poison_find(l, 2 * i * PAGE, NULL));
	assert_int_equal(l->n, 3 * POISON_POSTS);
	check_order(l);
}

/* A run that can't be entered is not forgotten, and not taken for none */
static void a_post_without_memory_stays(void **state)
{
	struct poison_list *l = *state;
	struct poison *p, found;
	size_t more;

	for (uint64_t i = 0; i < POISON_MAX; i++)
		add(l, 2 * i * PAGE, PAGE, 1);
	post(l, 2ull * POISON_MAX * PAGE, 2 * PAGE);
	assert_true(poison_find(l, (2ull * POISON_MAX + 1) * PAGE, &found));
	assert_int_equal(found.size, 2 * PAGE);
	assert_false(poison_find(l, (2ull * POISON_MAX + 2) * PAGE, NULL));
	assert_int_equal(poison_copy(l, &p), -ENOMEM);
	assert_null(p);
	assert_int_equal(poison_take_news(l, &found, 1, &more), -ENOMEM);
	/* A reset makes its page anew: it must not be entered after that */
	poison_clear(l);
	assert_int_equal(poison_copy(l, &p), 0);
	assert_false(poison_find(l, 2ull * POISON_MAX * PAGE, NULL));
}

static void news_are_reported_once(void **state)
{
	struct poison_list *l = *state;
	struct poison p[3];
	size_t more;

	add(l, 0, PAGE, 1);
	post(l, 0, PAGE);		/* known before */
	post(l, 3 * PAGE, PAGE);
	post(l, 2 * PAGE, PAGE);	/* one run with the one before */
	post(l, 10 * PAGE, 4 * PAGE);
	poison_delivered(l, 11 * PAGE, PAGE);
	for (uint64_t i = 20; i < 30; i += 2)
		post(l, i * PAGE, PAGE);
	assert_int_equal(poison_take_news(l, p, 3, &more), 3);
	assert_true(p[0].gpa == 2 * PAGE && p[0].size == 2 * PAGE);
	assert_true(p[1].gpa == 10 * PAGE && p[1].size == PAGE);
	assert_true(p[2].gpa == 12 * PAGE && p[2].size == 2 * PAGE);
	assert_int_equal(more, 5);
	assert_int_equal(poison_take_news(l, p, 3, &more), 0);
	assert_int_equal(more, 0);
	/* What was news has neighbours like any other */
	add(l, PAGE, PAGE, 1);
	assert_true(poison_find(l, 0, p) && p[0].size == 4 * PAGE);
}

static void post_read(struct poison_list *l, uint64_t gpa, unsigned resets)
{
	struct poison p = { .gpa = gpa, .size = PAGE };

	assert_int_equal(poison_post_read(l, &p, resets), 0);
}

/* The page was read before a reset has replaced it */
static void a_read_before_a_reset_is_no_loss(void **state)
{
	struct poison_list *l = *state;
	const unsigned before = poison_resets(l);

	post_read(l, 0, before);
	assert_true(poison_find(l, 0, NULL));
	poison_clear(l);
	post_read(l, 0, before);
	assert_false(poison_find(l, 0, NULL));
	assert_int_equal(l->posted, 0);
	post_read(l, 2 * PAGE, poison_resets(l));
	assert_true(poison_find(l, 2 * PAGE, NULL));
	/* Also where no slot is free */
	for (uint64_t i = 2; i < POISON_POSTS + 2; i++)
		post(l, 2 * i * PAGE, PAGE);
	post_read(l, 0, before);
	assert_false(poison_find(l, 0, NULL));
	assert_int_equal(l->n, POISON_POSTS + 1);
}

/* Posting threads find each run as soon as poison_post() has returned */
struct poster {
	struct poison_list *l;
	uint64_t seed;
	_Atomic unsigned *missed;
};

#define POSTERS		3
#define POSTS_EACH	3000

static void *post_many(void *arg)
{
	struct poster *o = arg;

	for (unsigned i = 0; i < POSTS_EACH; i++) {
		uint64_t gpa = dice(&o->seed) % 100000 * PAGE;
		struct poison p = { .gpa = gpa, .size = PAGE };

		*o->missed += poison_post(o->l, &p) != 0;
		if (i % 16 == 0)
			*o->missed += !poison_find(o->l, gpa, NULL);
	}
	return NULL;
}

static void threads_lose_no_post(void **state)
{
	static bool posted[100000];
	struct poison_list *l = *state;
	_Atomic unsigned missed = 0;
	struct poster o[POSTERS];
	pthread_t t[POSTERS];
	size_t want = 0, have = 0, more;
	struct poison *p, news;
	int n;

	for (unsigned k = 0; k < POSTERS; k++) {
		o[k] = (struct poster){ l, k + 1, &missed };
		assert_int_equal(pthread_create(&t[k], NULL, post_many, &o[k]),
				 0);
	}
	for (unsigned i = 0; i < 300; i++)
		assert_true(poison_take_news(l, &news, 1, &more) >= 0);
	for (unsigned k = 0; k < POSTERS; k++) {
		uint64_t seed = k + 1;

		pthread_join(t[k], NULL);
		for (unsigned i = 0; i < POSTS_EACH; i++)
			posted[dice(&seed) % 100000] = true;
	}
	assert_int_equal(missed, 0);
	n = poison_copy(l, &p);
	for (int i = 0; i < n; i++)
		have += p[i].size / PAGE;
	free(p);
	for (size_t i = 0; i < 100000; i++) {
		want += posted[i];
		assert_int_equal(poison_find(l, i * PAGE, NULL), posted[i]);
	}
	assert_int_equal(have, want);
	check_order(l);
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
		CASE(a_post_takes_no_lock),
		CASE(an_unfinished_post_hides_no_other),
		CASE(no_reader_misses_a_post),
		CASE(the_head_is_bounded_the_sum_is_not),
		CASE(a_full_inbox_is_emptied),
		CASE(a_post_without_memory_stays),
		CASE(news_are_reported_once),
		CASE(threads_lose_no_post),
		CASE(a_read_before_a_reset_is_no_loss),
		CASE(what_is_saved_is_read),
		CASE(nothing_saved_is_nothing_read),
		CASE(garbage_is_refused),
		CASE(truncated_count_is_refused),
	};

	return cmocka_run_group_tests_name("poison", tests, NULL, NULL);
}
