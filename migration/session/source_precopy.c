// SPDX-License-Identifier: MIT
/*
 * source_precopy.c - Passes over RAM while the guest still runs on the source
 *
 * Theory of operation
 *
 * A pass sends every page that is due: the first one all pages that ZERO_LIST
 * does not name, each further one those that were written since they were read.
 * Pages of a range are cleared in the dirty log before they are read, so a write
 * while they are read, or later, makes them due again.
 *
 * All of it goes on the main connection, which carries nothing else then. So a
 * newer copy of a page can't arrive before an older one, and what the passes
 * have sent comes before DISCARD. At the end of each pass the source waits until
 * the destination has placed everything (PASS, PASSED): the queues are empty when
 * the guest is held, so STATE waits behind no page.
 *
 * When the guest is held, the dirty log is fetched for the last time. What is due
 * then and was sent is out of date: DISCARD names it, it counts as not sent, and
 * it moves as in a migration without passes.
 *
 * A page that can't be read stays due, and is in the poison list: POISON_LIST
 * carries it to the destination, or no list does if a reset has renewed it. A
 * reset makes all pages due.
 */

#include <errno.h>
#include <stdlib.h>

#include "migration/pages/pages.h"
#include "source_precopy.h"
#include "vmm/base/log.h"
#include "vmm/machine/dirty.h"

/* Pages that are cleared by one call */
#define CLEAR_PAGES	4096u
#define REFUSAL_NS	500000000ull	/* for a REFUSE on its way */

void source_precopy_end(struct source *s)
{
	if (s->passes.n)
		machine_dirty_stop(s->m);
	ledger_dirty_end(&s->pages.ledger);
	passes_fini(&s->passes);
	free(s->lost);
	s->lost = NULL;
}

static int precopy_begin(struct source *s, struct error *err)
{
	int rc = passes_init(&s->passes, s->pages.ledger.n);

	if (!rc)
		rc = ledger_dirty_begin(&s->pages.ledger);
	if (rc)
		return error_set(err, -rc, "out of memory for the dirty pages");
	rc = machine_dirty_start(s->m, err);
	if (rc)
		passes_fini(&s->passes);
	s->pass.done = 0;
	return rc;
}

/* The batch's callback: a page can't be read */
void source_pass_lost(struct source *s, uint64_t gpa)
{
	struct passes *p = &s->passes;
	uint64_t offset;
	size_t page;

	if (!ram_offset(machine_ram(s->m), gpa, WIRE_PAGE, &offset))
		return;
	page = (size_t)(offset / WIRE_PAGE);
	passes_unsent(p, page, s->pass_first);
	if (s->pass_first)
		ledger_give_back(&s->pages.ledger, page, 1);
}

static int send_run(struct source *s, size_t page, size_t n, struct error *err)
{
	struct page_source *p = &s->pages;
	struct progress *pr = s->se.progress;
	int rc;

	s->pass_first = !passes_was_sent(&s->passes, page);
	if (s->pass_first)
		ledger_take(&p->ledger, page, n);
	else
		ledger_dirty_sent(&p->ledger, page, n);
	passes_sent(&s->passes, page, n);
	s->pass_resets = poison_resets(machine_poison(s->m));
	s->batch.skip_lost = true;
	rc = batch_fill(&s->batch, page, n, err);
	s->batch.skip_lost = false;
	if (rc)
		return rc;
	pacer_spend(&p->pass_pacer, now_ns(), s->batch.bytes);
	if (s->batch.iovs)
		rc = channel_sendv(&s->se.link.main, s->batch.iov,
				   s->batch.iovs, err);
	page_source_passed(p, &s->batch, s->pass_first);
	pr->precopy.stale -= s->pass_first ? 0 : n;
	n = s->batch.data_pages + s->batch.zero_pages;
	s->pass.sent += n;
	pr->precopy.pages += n;
	pr->precopy.bytes += s->batch.bytes;
	return rc;
}

/* Return: 0, -ECANCELED, -errno */
static int send_range(struct source *s, size_t from, size_t end,
		      struct error *err)
{
	size_t n, page = passes_run(&s->passes, from, end, &n);
	int rc = 0;

	if (page == end)
		return 0;
	rc = machine_dirty_clear(s->m, s->passes.due, from, end - from, err);
	while (page < end && !rc && !s->end_passes) {
		page_source_throttle(&s->pages, &s->pages.pass_pacer);
		if (s->pages.stop)
			return error_set(err, ECANCELED,
					 "the precopy pass was ended");
		rc = send_run(s, page, n, err);
		page = passes_run(&s->passes, page + n, end, &n);
	}
	return rc;
}

/* All that was sent has been placed, and nothing waits in a queue */
static int end_pass(struct source *s, bool last, struct error *err)
{
	struct writer w = { 0 };
	int rc;

	put_u8(&w, !last);
	rc = session_say(&s->se, WIRE_MSG_PASS, &w, err);
	writer_free(&w);
	return rc || last ? rc : session_expect(&s->se, WIRE_MSG_PASSED, NULL,
						NULL, err);
}

static void show_rates(struct source *s, uint64_t before)
{
	struct progress_precopy *p = &s->se.progress->precopy;
	const struct pass_record *r = &s->pass;
	const uint64_t fresh = r->due > before ? r->due - before : 0;

	p->syncs++;
	p->due = r->due;
	p->stale = passes_stale(&s->passes, &s->pages.ledger);
	p->dirty_rate = r->ns ? fresh * NS_PER_S / r->ns : 0;
	p->expected_ms = passes_ns(r) / NS_PER_MS;
}

/* What the guest has written, and what is left of a pass that was ended early */
static int fetch_due(struct source *s, struct error *err)
{
	const uint64_t left = passes_due(&s->passes, &s->pages.ledger);
	int rc = machine_dirty_fetch(s->m, s->passes.due, err);

	s->pass.due = passes_due(&s->passes, &s->pages.ledger);
	show_rates(s, left);
	return rc;
}

/* The other connections are not used yet: a close is found by asking */
static int check_link(struct source *s, struct error *err)
{
	struct link *l = &s->se.link;

	return link_push_alive(l) && !channel_ended(&l->demand) ? 0
		: error_set(err, EPIPE,
			    "a connection was lost in a precopy pass");
}

/* The destination may have said why it has closed the connection */
static int explain_refusal(struct source *s, int rc, struct error *err)
{
	struct channel *main = &s->se.link.main;
	struct error why = { 0 };
	struct wire_msg m;

	if (rc != -EPIPE)
		return rc;
	channel_set_end(main, now_ns() + REFUSAL_NS);
	if (session_hear(&s->se, &m, "PASSED", &why) != -ECONNREFUSED)
		return rc;
	*err = why;
	return -ECONNREFUSED;
}

static int send_pass(struct source *s, struct error *err)
{
	const uint64_t start = now_ns();
	const size_t all = s->passes.n;
	int rc = check_link(s, err);

	s->pass.sent = 0;
	for (size_t at = 0; at < all && !rc && !s->end_passes; at += CLEAR_PAGES)
		rc = send_range(s, at, all - at < CLEAR_PAGES ? all
							      : at + CLEAR_PAGES,
				err);
	if (!rc)
		rc = end_pass(s, false, err);
	s->pass.done++;
	s->pass.ns = now_ns() - start;
	s->se.progress->precopy.passes = s->pass.done;
	return rc ? rc : fetch_due(s, err);
}

static bool wants_pass(const struct source *s)
{
	return !s->end_passes && passes_again(&s->pass,
			s->se.limits->downtime_ms * NS_PER_MS);
}

int source_precopy(struct source *s, struct error *err)
{
	int rc = 0;

	if (s->pass.limit && !s->end_passes) {
		rc = precopy_begin(s, err);
		if (rc)
			return rc;
		s->passing = true;
		if (session_phase(&s->se) == SOURCE_SETUP)
			session_show(&s->se);
		rc = fetch_due(s, err);
		while (!rc && wants_pass(s))
			rc = explain_refusal(s, send_pass(s, err), err);
	}
	return rc ? rc : end_pass(s, true, err);
}

/* Poison and, with huge pages, what was announced as zeroes: @n pages are due */
static void mark_due(struct source *s, uint64_t offset, uint64_t len)
{
	passes_mark(&s->passes, (size_t)(offset / WIRE_PAGE),
		    (size_t)(len / WIRE_PAGE));
}

/*
 * Pages of ZERO_LIST that were written since. A huge page that contains one may
 * be in place at the destination, with zeroes there
 */
void source_pass_written(struct source *s, uint64_t offset, uint64_t len)
{
	if (s->passes.n && s->unit > 1)
		mark_due(s, offset, len);
}

/* The list that is sent later is this copy: both name the same pages */
static int copy_lost(struct source *s, struct error *err)
{
	int n = poison_copy(machine_poison(s->m), &s->lost);
	uint64_t offset;

	s->lost_n = n < 0 ? 0 : n;
	if (n < 0)
		return error_set(err, ENOMEM, "out of memory for poison");
	for (int i = 0; s->passes.n && i < n; i++)
		if (ram_offset(machine_ram(s->m), s->lost[i].gpa,
			       s->lost[i].size, &offset))
			mark_due(s, offset, s->lost[i].size);
	return 0;
}

#define DISCARD_MAX	((WIRE_LIST_MAX - 4) / 16)

static size_t count_discard(const struct passes *p, size_t unit)
{
	size_t runs = 0, n, page = passes_discard(p, unit, 0, &n);

	for (; page < p->n; runs++)
		page = passes_discard(p, unit, page + n, &n);
	return runs;
}

static void put_discard(struct source *s, size_t unit, struct writer *w)
{
	const struct passes *p = &s->passes;
	size_t n, page = passes_discard(p, unit, 0, &n);

	while (page < p->n) {
		put_u64(w, (uint64_t)page * WIRE_PAGE);
		put_u64(w, (uint64_t)n * WIRE_PAGE);
		page_source_discarded(&s->pages, page, n);
		page = passes_discard(p, unit, page + n, &n);
	}
}

/* If the ranges do not fit in the message, whole blocks are sent again */
static int say_discard(struct source *s, struct error *err)
{
	struct writer w = { 0 };
	size_t unit = s->unit, runs = count_discard(&s->passes, unit);
	int rc;

	if (runs > DISCARD_MAX) {
		unit = CHUNK_PAGES;
		runs = count_discard(&s->passes, unit);
	}
	if (runs > DISCARD_MAX)
		return error_set(err, E2BIG,
			"too many ranges were written since the last precopy pass");
	put_u32(&w, (uint32_t)runs);
	put_discard(s, unit, &w);
	rc = session_say(&s->se, WIRE_MSG_DISCARD, &w, err);
	writer_free(&w);
	return rc;
}

/* The guest is held, and its state was saved: nothing writes RAM any more */
int source_discard(struct source *s, struct error *err)
{
	int rc;

	/* What is dirty now counts as not sent, below */
	ledger_dirty_end(&s->pages.ledger);
	rc = s->passes.n ? fetch_due(s, err) : 0;
	/* Not before: what is fetched leaves the pages of ZERO_LIST out */
	if (!rc)
		rc = copy_lost(s, err);
	if (!rc)
		rc = say_discard(s, err);
	s->se.progress->precopy.stale = 0;
	s->se.progress->precopy.due = 0;
	return rc;
}
