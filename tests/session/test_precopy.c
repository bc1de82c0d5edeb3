// SPDX-License-Identifier: MIT
/*
 * test_precopy.c - Precopy passes while the guest writes
 *
 * As test_recover.c: the real sessions, sockets and userfaultfd, tests/fake's
 * machines. vCPU threads compare pages and write new versions of them, on the
 * source while the passes read them, and on the destination. At the end every
 * page must have the bytes of its last version.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pair.h"

#define WORDS		(WIRE_PAGE / sizeof(uint64_t))
#define QUIET		16u	/* no vCPU touches each 16th page */
#define SLOW		MIB	/* bytes a second: a pass takes 12 s */
#define HOLE		3000u	/* nor any above, at first: holes */

static _Atomic unsigned wrong;
static _Atomic uint32_t version[PAGES];
static _Atomic size_t touched;	/* pages below are written */
static _Atomic bool was_active;
static _Atomic bool reset_before_report;
static _Atomic bool says_huge;		/* the destination, in READY */
static _Atomic unsigned discarded;	/* pages of the chunk HOLE is in */

/* 0: never written. Some versions are zeroes */
static uint64_t word_of(size_t page, uint32_t v)
{
	return v % 5 ? ((uint64_t)page << 32 | v) * 0x9e3779b97f4a7c15ull | 1
		     : 0;
}

/* A vCPU's accesses, which no lock orders with those of the passes */
#define OF_A_VCPU	__attribute__((no_sanitize("thread")))

OF_A_VCPU static bool page_is(const volatile uint64_t *at, uint64_t word)
{
	uint64_t differ = 0;

	for (size_t i = 0; i < WORDS; i++)
		differ |= at[i] ^ word;
	return !differ;
}

OF_A_VCPU static void page_write(struct machine *m, size_t page)
{
	volatile uint64_t *at = (volatile uint64_t *)(void *)
		(machine_ram(m)->base + page * WIRE_PAGE);
	uint64_t word = word_of(page, version[page] + 1);

	for (size_t i = 0; i < WORDS; i++)
		at[i] = word;
	version[page]++;
	fake_machine_dirty(m, page);
}

/* Each page has one vCPU that touches it */
static void step(void *ctx, struct machine *m, unsigned vcpu)
{
	static _Atomic uint64_t seed = 1;
	uint64_t s = seed++ * 0x2545f4914f6cdd1d + vcpu;
	size_t page = dice(&s) % touched;

	(void)ctx;
	page -= page % CPUS;
	page += vcpu;
	if (page % QUIET >= QUIET - CPUS)
		return;
	if (!page_is((const volatile uint64_t *)(const void *)
		     (machine_ram(m)->base + page * WIRE_PAGE),
		     word_of(page, version[page])) && fake_machine_is_open(m))
		wrong++;
	page_write(m, page);
	usleep(20);
}

/* A wall: it can't be read any more */
static int lose(void *ctx, struct machine *m, uint64_t offset)
{
	(void)ctx;
	return ram_wall(machine_ram(m), offset, machine_ram(m)->unit);
}

static void was_reset(void *ctx, struct machine *m)
{
	(void)ctx;
	(void)m;
	for (size_t i = 0; i < PAGES; i++)
		version[i] = 0;
}

/* Return: as fake_machine_reset() */
static int reset_guest(struct machine *m)
{
	int rc;

	fake_machine_ask_reset(m);
	do
		rc = fake_machine_reset(m);
	while (rc == -ETIMEDOUT);
	return rc;
}

/* A page could not be read: the guest may be reset before that is reported */
void __real_source_page_lost(void *ctx, uint64_t gpa);
void __wrap_source_page_lost(void *ctx, uint64_t gpa);
void __wrap_source_page_lost(void *ctx, uint64_t gpa)
{
	struct source *s = ctx;

	if (reset_before_report)
		reset_before_report = reset_guest(s->m) != 0;
	__real_source_page_lost(ctx, gpa);
}

int __real_wire_get_ready(const uint8_t *in, uint32_t *unit,
			  struct error *err);
int __wrap_wire_get_ready(const uint8_t *in, uint32_t *unit,
			  struct error *err);
int __wrap_wire_get_ready(const uint8_t *in, uint32_t *unit,
			  struct error *err)
{
	int rc = __real_wire_get_ready(in, unit, err);

	if (says_huge)
		*unit = RAM_HUGE;
	return rc;
}

void __real_page_source_discarded(struct page_source *p, size_t page,
				  size_t n);
void __wrap_page_source_discarded(struct page_source *p, size_t page,
				  size_t n);
void __wrap_page_source_discarded(struct page_source *p, size_t page,
				  size_t n)
{
	const size_t chunk = HOLE / CHUNK_PAGES * CHUNK_PAGES;

	for (size_t i = page; i < page + n; i++)
		discarded += i >= chunk && i < chunk + CHUNK_PAGES;
	__real_page_source_discarded(p, page, n);
}

static void on_status(void *ctx, enum progress_status status)
{
	(void)ctx;
	was_active |= status == PROGRESS_ACTIVE;
}

static void fill(struct machine *m)
{
	struct error err = { 0 };

	for (size_t i = 0; i < PAGES; i++)
		version[i] = 0;
	touched = HOLE;
	for (size_t i = 0; i < HOLE; i++)
		page_write(m, i);
	assert_int_equal(machine_run(m, WHY_BOOTED, &err), 0);
}

static void make_source(struct pair *w, unsigned passes)
{
	pair_new_source(w);
	w->s->pass.limit = passes;
}

static struct pair *set_up_backing(unsigned passes, enum ram_backing home,
				   int backing)
{
	struct pair *w;

	fake_host = (struct fake_host){ .step = step, .lose = lose,
					.was_reset = was_reset };
	wrong = 0;
	was_active = reset_before_report = says_huge = false;
	discarded = 0;
	w = pair_new_backing(home, on_status, on_status);
	fill(w->home);
	pair_connect(w, backing);
	w->s->pass.limit = passes;
	return w;
}

static struct pair *set_up(unsigned passes)
{
	return set_up_backing(passes, RAM_ANON, -1);
}

static void tear_down(struct pair *w)
{
	pair_free(w);
	assert_int_equal(wrong, 0);
}

/* Pages that are lost are known to be; the others are of the last version */
static void assert_whole(struct pair *w)
{
	struct machine *m = w->gone;
	struct ram *ram = machine_ram(m);

	assert_int_equal(machine_pause(m, RUN_PAUSED, WHY_USER, NULL), 0);
	for (size_t i = 0; i < PAGES; i++) {
		if (poison_find(machine_poison(m),
				ram_gpa(ram, i * WIRE_PAGE), NULL))
			continue;
		if (!page_is((const volatile uint64_t *)(const void *)
			     (ram->base + i * WIRE_PAGE),
			     word_of(i, version[i])))
			fail_msg("page %zu is wrong", i);
	}
}

static void await_completed(struct pair *w, const char *what)
{
	pair_await(w, &w->near_progress, PROGRESS_COMPLETED, what);
	pair_await(w, &w->far_progress, PROGRESS_COMPLETED, what);
	assert_whole(w);
	assert_false(fake_machine_is_logging(w->home));
}

static void await_passes(struct pair *w, unsigned n)
{
	for (unsigned ms = 0; w->near_progress.precopy.passes < n; ms++) {
		if (ms > LONG_MS)
			pair_stuck(w, "passes");
		usleep(1000);
	}
}

/* Some pages of a pass have been sent */
static void await_some(struct pair *w)
{
	for (unsigned ms = 0; w->near_progress.precopy.pages < 200; ms++) {
		if (ms > LONG_MS)
			pair_stuck(w, "some pages");
		usleep(1000);
	}
}

/* Both sides count the same, but for the greeting: the listener reads it */
static bool counts_agree(const struct channel_count *from,
			 const struct channel_count *to)
{
	for (unsigned i = 0; i < LINK_CONNECTIONS; i++)
		if (from[i].sent < to[i].received ||
		    from[i].sent > to[i].received + WIRE_PAGE)
			return false;
	return true;
}

/* A thread counts what it has sent when the other side may have it already */
static void await_counts(const struct pair *w)
{
	const struct channel_count *here = w->near_progress.connections;
	const struct channel_count *there = w->far_progress.connections;
	const uint64_t end = ns_after(LONG_MS);

	assert_true(here[link_count(WIRE_MAIN, 0)].sent >=
		    w->near_progress.precopy.bytes);
	while (!counts_agree(here, there) || !counts_agree(there, here)) {
		if (now_ns() > end)
			fail_msg("the sides have counted different bytes");
		usleep(1000);
	}
}

static void a_writing_guest_arrives(void **state)
{
	struct pair *w = set_up(3);
	const struct progress_precopy *p = &w->near_progress.precopy;

	(void)state;
	pair_start(w);
	await_completed(w, "three passes");
	assert_true(was_active);
	/* Fewer if the guest did not write: the host may be busy */
	assert_in_range(p->passes, 1, 3);
	assert_int_equal(p->syncs, p->passes + 2);
	assert_true(p->pages >= HOLE);
	await_counts(w);
	tear_down(w);
}

/* It is sent by the only pass, and then once more */
static void what_is_written_later_is_discarded(void **state)
{
	struct pair *w = set_up(1);

	(void)state;
	pacer_set_limit(&w->s->pages.pass_pacer, SLOW);
	pair_start(w);
	await_some(w);
	page_write(w->home, QUIET - 1);
	pacer_set_limit(&w->s->pages.pass_pacer, 0);
	await_completed(w, "one pass");
	assert_int_equal(w->near_progress.precopy.passes, 1);
	assert_true(w->near_progress.stats.again > 0);
	assert_true(w->far_progress.stats.again > 0);
	tear_down(w);
}

static void auto_comes_to_an_end(void **state)
{
	struct pair *w = set_up(PASSES_AUTO);

	(void)state;
	w->limits.downtime_ms = LONG_MS;
	pair_start(w);
	await_completed(w, "auto");
	assert_true(w->near_progress.precopy.passes >= 1);
	tear_down(w);
}

/* Every page is written after the list of zero pages, and before the hold */
static void zero_pages_are_written_meanwhile(void **state)
{
	struct pair *w = set_up(2);

	(void)state;
	pacer_set_limit(&w->s->pages.pass_pacer, SLOW);
	pair_start(w);
	await_some(w);
	touched = PAGES;
	pacer_set_limit(&w->s->pages.pass_pacer, 0);
	await_completed(w, "zero pages");
	tear_down(w);
}

static void ended_by_an_operator(void **state)
{
	struct pair *w = set_up(30);

	(void)state;
	pacer_set_limit(&w->s->pages.pass_pacer, SLOW);
	pair_start(w);
	await_some(w);
	source_start_postcopy(w->s);
	pair_await(w, &w->near_progress, PROGRESS_POSTCOPY, "end of the passes");
	assert_true(w->near_progress.precopy.passes <= 1);
	pacer_set_limit(&w->s->pages.pass_pacer, 0);
	await_completed(w, "ended");
	tear_down(w);
}

/* The guest goes on here, and may be moved again */
static void assert_back(struct pair *w)
{
	pair_await_phase(w, &w->t->se, TARGET_LISTENING, "listening");
	for (unsigned ms = 0; fake_machine_is_logging(w->home); ms++) {
		if (ms > LONG_MS)
			pair_stuck(w, "logging");
		usleep(1000);
	}
	assert_true(fake_machine_is_open(w->home));
	assert_null(w->gone);
}

static void cancelled_in_a_pass(void **state)
{
	struct pair *w = set_up(30);

	(void)state;
	pacer_set_limit(&w->s->pages.pass_pacer, SLOW);
	pair_start(w);
	await_some(w);
	assert_int_equal(source_cancel(w->s, NULL), 0);
	pair_await(w, &w->near_progress, PROGRESS_CANCELLED, "cancelled");
	assert_back(w);
	make_source(w, 2);
	pair_start(w);
	await_completed(w, "again");
	tear_down(w);
}

static void cut_there(enum relay_from from, enum wire_type type, unsigned nth,
		      unsigned how)
{
	struct pair *w = set_up(3);

	relay_cut(w->r, &(struct relay_cut){
		.from = from, .type = type, .role = WIRE_MAIN, .nth = nth,
		.after = how == 1, .inside = how == 2 });
	pair_start(w);
	pair_await(w, &w->near_progress, PROGRESS_FAILED, wire_name(type));
	assert_back(w);
	make_source(w, 1);
	pair_start(w);
	await_completed(w, "after a cut");
	tear_down(w);
}

static void a_cut_in_a_pass(void **state)
{
	(void)state;
	cut_there(FROM_TARGET, WIRE_MSG_READY, 1, 0);
	cut_there(FROM_SOURCE, WIRE_MSG_PAGES, 3, 2);
	cut_there(FROM_SOURCE, WIRE_MSG_PAGES, 20, 0);
	cut_there(FROM_SOURCE, WIRE_MSG_PASS, 1, 0);
	cut_there(FROM_TARGET, WIRE_MSG_PASSED, 1, 1);
	cut_there(FROM_SOURCE, WIRE_MSG_PASS, 2, 1);
	cut_there(FROM_SOURCE, WIRE_MSG_WRITTEN_LIST, 1, 1);
	cut_there(FROM_SOURCE, WIRE_MSG_DISCARD, 1, 2);
	cut_there(FROM_SOURCE, WIRE_MSG_POISON_LIST, 1, 0);
}

/* All that was sent before is out of date, and RAM is almost empty */
static void a_reset_in_a_pass(void **state)
{
	struct pair *w = set_up(3);

	(void)state;
	pacer_set_limit(&w->s->pages.pass_pacer, SLOW);
	pair_start(w);
	await_some(w);
	assert_int_equal(reset_guest(w->home), 0);
	pacer_set_limit(&w->s->pages.pass_pacer, 0);
	await_completed(w, "reset");
	tear_down(w);
}

/* Lost after a pass has sent it, and before one would */
static void a_page_is_lost_in_a_pass(void **state)
{
	const size_t early = QUIET - 1, late = HOLE / QUIET * QUIET - 1;
	struct pair *w = set_up(30);
	struct ram *ram = machine_ram(w->home);
	struct error err = { 0 };

	(void)state;
	pacer_set_limit(&w->s->pages.pass_pacer, SLOW);
	pair_start(w);
	await_some(w);
	assert_int_equal(fake_machine_poison(w->home,
		ram_gpa(ram, early * WIRE_PAGE), true, &err), 0);
	assert_int_equal(fake_machine_poison(w->home,
		ram_gpa(ram, late * WIRE_PAGE), true, &err), 0);
	pacer_set_limit(&w->s->pages.pass_pacer, 0);
	await_passes(w, 1);
	source_start_postcopy(w->s);
	await_completed(w, "lost pages");
	assert_true(poison_find(machine_poison(w->gone),
				ram_gpa(ram, early * WIRE_PAGE), NULL));
	assert_true(poison_find(machine_poison(w->gone),
				ram_gpa(ram, late * WIRE_PAGE), NULL));
	assert_int_equal(w->far_progress.stats.pages[COUNT_POISON], 2);
	tear_down(w);
}

/* The page that could not be read has been replaced by a good one */
static void a_reset_before_a_loss_is_reported(void **state)
{
	const size_t late = HOLE / QUIET * QUIET - 1;
	struct pair *w = set_up(3);
	struct ram *ram = machine_ram(w->home);
	struct error err = { 0 };

	(void)state;
	pacer_set_limit(&w->s->pages.pass_pacer, SLOW);
	pair_start(w);
	await_some(w);
	assert_int_equal(fake_machine_poison(w->home,
		ram_gpa(ram, late * WIRE_PAGE), true, &err), 0);
	reset_before_report = true;
	pacer_set_limit(&w->s->pages.pass_pacer, 0);
	await_completed(w, "reset before the report");
	assert_false(reset_before_report);
	assert_false(poison_find(machine_poison(w->gone),
				 ram_gpa(ram, late * WIRE_PAGE), NULL));
	assert_int_equal(w->far_progress.stats.pages[COUNT_POISON], 0);
	tear_down(w);
}

/*
 * In a memfd a page that was never written and is lost is a hole still: only the
 * poison list names it. The destination may have its huge page in place, with
 * zeroes there
 */
static void a_lost_hole_takes_its_huge_page_with_it(void **state)
{
	struct pair *w = set_up_backing(1, RAM_MEMFD, RAM_ANON);
	struct ram *ram = machine_ram(w->home);
	struct error err = { 0 };

	(void)state;
	/* No vCPU writes what is near the hole */
	touched = CHUNK_PAGES;
	says_huge = true;
	pacer_set_limit(&w->s->pages.pass_pacer, SLOW);
	pair_start(w);
	await_some(w);
	assert_int_equal(fake_machine_poison(w->home,
		ram_gpa(ram, HOLE * WIRE_PAGE), true, &err), 0);
	pacer_set_limit(&w->s->pages.pass_pacer, 0);
	await_completed(w, "a lost hole");
	assert_int_equal(discarded, CHUNK_PAGES);
	assert_true(poison_find(machine_poison(w->gone),
				ram_gpa(ram, HOLE * WIRE_PAGE), NULL));
	tear_down(w);
}

static bool has_huge_pages(void)
{
	struct error err = { 0 };
	struct ram ram;
	int rc = ram_create(&ram, RAM_BYTES, RAM_HUGETLB, &err);

	ram_destroy(&ram);
	return !rc;
}

/* A small page that is out of date takes its huge page with it */
static void huge_pages_at_the_destination(void **state)
{
	const size_t page = 5 * CHUNK_PAGES + QUIET - 1;
	struct error err = { 0 };
	struct pair *w;

	(void)state;
	if (!has_huge_pages())
		skip_because("no pool of huge pages");
	w = set_up_backing(2, RAM_ANON, RAM_HUGETLB);
	pacer_set_limit(&w->s->pages.pass_pacer, SLOW);
	pair_start(w);
	await_some(w);
	touched = PAGES;
	assert_int_equal(fake_machine_poison(w->home,
		ram_gpa(machine_ram(w->home), page * WIRE_PAGE), true, &err),
		0);
	pacer_set_limit(&w->s->pages.pass_pacer, 0);
	await_completed(w, "huge pages");
	tear_down(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_writing_guest_arrives),
		cmocka_unit_test(what_is_written_later_is_discarded),
		cmocka_unit_test(auto_comes_to_an_end),
		cmocka_unit_test(zero_pages_are_written_meanwhile),
		cmocka_unit_test(ended_by_an_operator),
		cmocka_unit_test(cancelled_in_a_pass),
		cmocka_unit_test(a_cut_in_a_pass),
		cmocka_unit_test(a_reset_in_a_pass),
		cmocka_unit_test(a_page_is_lost_in_a_pass),
		cmocka_unit_test(a_reset_before_a_loss_is_reported),
		cmocka_unit_test(a_lost_hole_takes_its_huge_page_with_it),
		cmocka_unit_test(huge_pages_at_the_destination),
	};

	return cmocka_run_group_tests_name("precopy", tests, NULL, NULL);
}
