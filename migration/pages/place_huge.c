// SPDX-License-Identifier: MIT
/*
 * place_huge.c - Placement in RAM of 2 MiB pages (hugetlb)
 *
 * The wire and the table have small pages, userfaultfd places huge ones. What
 * arrives is claimed in the table and staged in a buffer; when no page of a
 * huge page is missing any more, the huge page is placed whole. If some of its
 * pages are lost, small pages replace it (ram_split()), and only those are
 * poison. A staged page is COPYING, or POISONING if it is lost: it counts as
 * what it was.
 *
 * Any thread may bring pages, and the fault thread waits for no other one:
 *
 *	- A page's claim decides which thread stages it. The fault thread may
 *	  join a claim (pages.h) and stage the page as well. Both store the same
 *	  bytes. The second to set the page's bit in @in leaves the page.
 *	- Each thread that has staged something checks afterwards whether the
 *	  huge page is complete: every page staged, or ZERO in the table. The
 *	  last to set its bit sees all others, so a complete huge page is always
 *	  noticed. @placing admits one thread, which claims the ZERO pages. If
 *	  another thread has claimed one meanwhile (poison made on purpose), it
 *	  withdraws and checks again.
 *	- That thread may be a bulk thread that is preempted. If a vCPU waits, all
 *	  pages that were not staged have been requested, and the last answer is
 *	  handled by the fault thread when every page is staged or claimed as
 *	  zeroes. Then the fault thread places the huge page, too (place_too()).
 *	  The kernel gives EEXIST to the second. The first to set @placed settles
 *	  the pages. No poison can come in between: every page has a copier until
 *	  it is settled, and huge_inject() refuses pages of a huge page that is
 *	  present. The exception are huge pages with lost pages: replacing the
 *	  mapping can't be done twice, so a vCPU waits for the thread that does.
 *	- A claim of a ZERO page is never released: the buffer is there before.
 *	  So the fault thread may rely on claimed zeroes to stay zeroes.
 *	- The buffer is freed by the last thread that leaves after the huge page
 *	  is placed: a bulk thread may still store into a page that the fault
 *	  thread has completed in its stead.
 *	- If placing fails, the huge page stays complete: page_store_settle()
 *	  places it later.
 */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "placement.h"
#include "race_point.h"
#include "staging.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/memory/ram_huge.h"
#include "vmm/memory/uffd.h"

static_assert(CHUNK_PAGES == RAM_HUGE / WIRE_PAGE, "a chunk is a huge page");
static_assert(WIRE_AROUND_MAX == CHUNK_PAGES - 1, "a request may ask for all of it");

static const uint8_t zero_page[WIRE_PAGE];

static int huge_init(struct page_store *s)
{
	s->staging = staging_new(s->table.n / HUGE_PAGES);
	return s->staging ? 0 : -ENOMEM;
}

static void huge_fini(struct page_store *s)
{
	staging_free(s->staging);
	s->staging = NULL;
}

static int out_of_buffers(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory for a huge page");
}

static bool is_complete(struct page_store *s, const struct huge_page *h,
			size_t first)
{
	for (size_t w = 0; w < STAGING_WORDS; w++) {
		uint64_t in = h->in[w];

		if (in != ~0ull &&
		    (in | pages_zero_bits(&s->table, first + 64 * w)) !=
		    ~0ull)
			return false;
	}
	return true;
}

/* The caller has claimed the page: none joins a page known to be zeroes */
static void stage_zero(struct huge_page *h, uint8_t *data, size_t k)
{
	staging_store(data, k, zero_page);
	staging_set(h->in, k);
}

/* Stage what is known to be zeroes. Return: 0, -EBUSY, -ENOMEM */
static int claim_zeroes(struct page_store *s, struct huge_page *h,
			size_t first)
{
	uint8_t *data = staging_buffer(s->staging, h);

	if (!data)
		return -ENOMEM;
	for (size_t k = 0; k < HUGE_PAGES; k++) {
		if (staging_test(h->in, k))
			continue;
		RACE_POINT(huge_claim_zero);
		if (!pages_claim(&s->table, first + k, 1))
			return -EBUSY;
		RACE_POINT(huge_zero_claimed);
		stage_zero(h, data, k);
	}
	return 0;
}

static int copy_whole(struct page_store *s, const struct huge_page *h,
		      size_t first, struct error *err)
{
	size_t done;
	int rc = placement_copy(s, first, h->data, HUGE_PAGES, &done);

	if (rc == -EEXIST && !h->joined) {	/* see place_small.c */
		log_line("0x%llx: huge page refused, %s",
			 placement_gpa(s, first), uffd_cause(rc));
		s->stats->duplicates += HUGE_PAGES;
	}
	if (rc == -EEXIST) {
		placement_wake(s, first, HUGE_PAGES);
		rc = 0;
	}
	return rc ? error_set(err, -rc,
			      "cannot place a huge page at 0x%llx: %s",
			      placement_gpa(s, first), uffd_cause(rc)) : 0;
}

/* From a copy: a second copier may still store what is there already */
static int split_copy(struct page_store *s, const struct huge_page *h,
		      uint64_t offset, struct error *err)
{
	const uint64_t *from = (const uint64_t *)(const void *)h->data;
	uint8_t *data = staging_get_buffer(s->staging);
	bool lost[HUGE_PAGES];
	int rc;

	if (!data)
		return out_of_buffers(err);
	for (size_t i = 0; i < RAM_HUGE / sizeof(*from); i++)
		((uint64_t *)(void *)data)[i] =
			__atomic_load_n(&from[i], __ATOMIC_RELAXED);
	for (size_t k = 0; k < HUGE_PAGES; k++)
		lost[k] = staging_test(h->lost, k);
	rc = ram_split(s->ram, offset, data, lost, s->uffd, err);
	staging_put_buffer(s->staging, data);
	return rc;
}

static int split_whole(struct page_store *s, const struct huge_page *h,
		       size_t first, struct error *err)
{
	const uint64_t offset = (uint64_t)first * WIRE_PAGE;
	int rc = s->can_poison ? split_copy(s, h, offset, err)
			       : ram_wall(s->ram, offset, RAM_HUGE);

	if (rc)
		return error_set(err, -rc, "cannot split a huge page: %s",
				 strerrordesc_np(-rc));
	placement_wake(s, first, HUGE_PAGES);
	return 0;
}

/* Pages from @k on with the same @lost and @delivered */
static size_t same_run(const struct huge_page *h, size_t k)
{
	size_t n = 1;

	while (k + n < HUGE_PAGES &&
	       staging_test(h->lost, k + n) == staging_test(h->lost, k) &&
	       staging_test(h->delivered, k + n) == staging_test(h->delivered, k))
		n++;
	return n;
}

/* Each claim of a page is settled once, by one of two threads */
static void settle_whole(struct page_store *s, struct huge_page *h,
			 size_t first)
{
	if (atomic_exchange(&h->placed, true))
		return;
	for (size_t k = 0, n; k < HUGE_PAGES; k += n) {
		n = same_run(h, k);
		if (staging_test(h->lost, k))
			pages_poisoned(&s->table, first + k, n);
		else
			pages_placed(&s->table, first + k, n);
	}
	waiters_done(&s->waiters, first, HUGE_PAGES);
}

/*
 * All is in the list before a vCPU can meet it. Without UFFDIO_POISON no part
 * of a huge page can be taken away, so all of it is lost.
 */
static int enter_lost(struct page_store *s, struct huge_page *h, size_t first,
		      struct error *err)
{
	int rc = 0;

	if (!s->can_poison) {
		for (size_t w = 0; w < STAGING_WORDS; w++) {
			h->lost[w] = ~0ull;
			h->delivered[w] = 0;
		}
	}
	for (size_t k = 0, n; k < HUGE_PAGES && !rc; k += n) {
		n = same_run(h, k);
		if (staging_test(h->lost, k))
			rc = placement_lost(s, first + k, n,
					    staging_test(h->delivered, k), err);
	}
	return rc;
}

static bool any_lost(const struct huge_page *h)
{
	for (size_t w = 0; w < STAGING_WORDS; w++)
		if (h->lost[w])
			return true;
	return false;
}

/* Place a huge page, all of which this thread has claimed */
static int place_whole(struct page_store *s, struct huge_page *h,
		       size_t first, struct error *err)
{
	int rc;

	if (!staging_buffer(s->staging, h))
		return out_of_buffers(err);
	if (any_lost(h)) {
		rc = enter_lost(s, h, first, err);
		rc = rc ? rc : split_whole(s, h, first, err);
	} else {
		rc = copy_whole(s, h, first, err);
	}
	if (!rc)
		settle_whole(s, h, first);
	else if (h->placed)
		rc = 0;		/* by the fault thread */
	else
		h->placing = false;
	return rc;
}

/*
 * Have all pages in the buffer, with claimed zeroes. Return: true; false if a
 * page is missing or lost. @staged is set if this thread has staged some
 */
static bool complete_copy(struct page_store *s, struct huge_page *h,
			  size_t first, uint8_t *data, bool *staged)
{
	for (size_t k = 0; k < HUGE_PAGES; k++) {
		if (staging_test(h->in, k))
			continue;
		RACE_POINT(huge_join_zero);
		if (pages_get(&s->table, first + k) == PAGE_ZERO &&
		    pages_claim(&s->table, first + k, 1)) {
			RACE_POINT(huge_join_claimed);
			stage_zero(h, data, k);
			*staged = true;
		} else if (pages_is_copied_zero(&s->table, first + k)) {
			staging_store(data, k, zero_page);
		} else {
			return false;
		}
	}
	return !any_lost(h);
}

/*
 * The fault thread: another thread places the huge page, and may be preempted.
 * Once, and without an error if there is no memory: the other one repeats it.
 */
static int place_too(struct page_store *s, struct huge_page *h, size_t first,
		     bool *staged, struct error *err)
{
	uint8_t *data = staging_buffer(s->staging, h);
	size_t done;
	int rc;

	if (!data || !complete_copy(s, h, first, data, staged))
		return 0;
	h->joined = true;
	rc = s->call.copy(s->uffd, placement_hva(s, first), data, RAM_HUGE,
			  &done);
	if (rc == -ENOMEM)
		return 0;
	if (rc && rc != -EEXIST)
		return error_set(err, -rc,
			"cannot place a huge page at 0x%llx: %s",
			placement_gpa(s, first), uffd_cause(rc));
	if (rc)
		placement_wake(s, first, HUGE_PAGES);
	settle_whole(s, h, first);
	return 0;
}

/* Place a huge page if it is complete. @demanded: for a vCPU that waits */
static int place_if_complete(struct page_store *s, struct huge_page *h,
			     size_t first, bool demanded, struct error *err)
{
	bool again = true;
	int rc = 0;

	while (again && h->used && !h->placed && !rc) {
		if (is_complete(s, h, first) &&
		    !atomic_exchange(&h->placing, true)) {
			rc = claim_zeroes(s, h, first);
			if (!rc)
				return place_whole(s, h, first, err);
			h->placing = false;
			rc = rc == -ENOMEM ? out_of_buffers(err) : 0;
			continue;
		}
		again = false;
		if (demanded && h->placing)
			rc = place_too(s, h, first, &again, err);
	}
	return rc;
}

/* What arrived for a run of pages */
struct arrival {
	const uint8_t *data;	/* contents; NULL for zeroes */
	enum page_count kind;
	bool demanded, lost, delivered;
	size_t refused;		/* pages that could not be claimed */
};

static bool claim_page(struct page_store *s, size_t page,
		       const struct arrival *a)
{
	if (a->lost)
		return pages_claim_poison(&s->table, page, 1);
	return a->demanded ? pages_claim_demanded(&s->table, page)
			   : pages_claim(&s->table, page, 1);
}

static void stage_contents(struct page_store *s, struct huge_page *h,
			   size_t page, uint8_t *data, const struct arrival *a)
{
	staging_store(data, page % HUGE_PAGES, a->data ? a->data : zero_page);
	if (staging_set(h->in, page % HUGE_PAGES))
		pages_released(&s->table, page, 1);
	else
		s->stats->pages[a->kind]++;
}

static void stage_loss(struct huge_page *h, size_t k, bool delivered)
{
	staging_set(h->lost, k);
	if (delivered)
		staging_set(h->delivered, k);
	staging_set(h->in, k);
}

/* Stage one page. The caller is a user of @h. Return: 0, -ENOMEM */
static int stage_page(struct page_store *s, struct huge_page *h, size_t page,
		      struct arrival *a)
{
	const size_t k = page % HUGE_PAGES;
	uint8_t *data = NULL;

	/* The buffer first: a claim of zeroes must not be released */
	if (!a->lost && !staging_test(h->in, k)) {
		data = staging_buffer(s->staging, h);
		if (!data)
			return -ENOMEM;
	}
	if (staging_test(h->in, k) || !claim_page(s, page, a)) {
		a->refused++;
		return 0;
	}
	h->used = true;
	if (a->lost)
		stage_loss(h, k, a->delivered);
	else
		stage_contents(s, h, page, data, a);
	return 0;
}

/* Stage a run, huge page by huge page, and place those that are complete */
static int stage_run(struct page_store *s, size_t page, size_t n,
		     struct arrival *a, struct error *err)
{
	const size_t end = page + n;
	int rc = 0;

	while (page < end && !rc) {
		const size_t first = page - page % HUGE_PAGES;
		struct huge_page *h = staging_enter(s->staging, page);

		for (; page < end && page < first + HUGE_PAGES && !rc;
		     page++) {
			rc = stage_page(s, h, page, a);
			if (a->data)
				a->data += WIRE_PAGE;
		}
		rc = rc ? out_of_buffers(err)
			: place_if_complete(s, h, first, a->demanded, err);
		staging_leave(s->staging, h);
	}
	return rc;
}

static int huge_contents(struct page_store *s, size_t page,
			 const uint8_t *data, size_t n, bool demanded,
			 struct error *err)
{
	struct arrival a = {
		.data = data, .demanded = demanded,
		.kind = demanded ? COUNT_DEMAND : COUNT_PUSH,
	};
	int rc = stage_run(s, page, n, &a, err);

	s->stats->duplicates += a.refused;
	return rc;
}

/* Only zeroes that a vCPU waits for are staged at once */
static bool must_stage_zero(struct page_store *s, size_t page, bool demanded)
{
	enum page_state is = pages_get(&s->table, page);

	return is == PAGE_REQUESTED || (demanded && is == PAGE_COPYING &&
		!staging_test(s->staging->page[page / HUGE_PAGES].in,
			  page % HUGE_PAGES));
}

static int huge_zero(struct page_store *s, size_t page, size_t n,
		     bool demanded, struct error *err)
{
	struct arrival a = { .kind = COUNT_ZERO, .demanded = demanded };
	const size_t end = page + n;
	int rc = 0;

	while (page < end && !rc) {
		const size_t first = page - page % HUGE_PAGES;
		struct huge_page *h = staging_enter(s->staging, page);

		for (; page < end && page < first + HUGE_PAGES && !rc; page++)
			if (h->used && must_stage_zero(s, page, demanded))
				rc = stage_page(s, h, page, &a);
		rc = rc ? out_of_buffers(err)
			: place_if_complete(s, h, first, demanded, err);
		staging_leave(s->staging, h);
	}
	return rc;
}

static int huge_poison(struct page_store *s, size_t page, size_t n,
		       bool delivered, struct error *err)
{
	struct arrival a = { .lost = true, .delivered = delivered };
	int rc = stage_run(s, page, n, &a, err);

	s->stats->refused += a.refused;
	return rc;
}

static int huge_settle(struct page_store *s, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; i < s->staging->n && !rc; i++) {
		struct huge_page *h = &s->staging->page[i];

		if (!h->used)
			continue;
		h->users++;
		rc = place_if_complete(s, h, i * HUGE_PAGES, false, err);
		staging_leave(s->staging, h);
	}
	return rc;
}

static bool is_here(struct page_store *s, size_t page)
{
	enum page_state is = pages_get(&s->table, page);

	return is == PAGE_PRESENT || is == PAGE_POISONED || is == PAGE_HELD;
}

/* A vCPU needs all of a huge page: request what was not requested before */
static int huge_fault(struct page_store *s, size_t page, unsigned vcpu,
		      bool ask, struct page_wants *wants, struct error *err)
{
	const size_t first = page - page % HUGE_PAGES;
	struct huge_page *h = staging_enter(s->staging, page);
	int rc = 0;

	waiters_add(&s->waiters, first, vcpu, now_ns());
	wants->first = first;
	h->used = true;
	if (is_here(s, first)) {
		waiters_done(&s->waiters, first, 1);
		placement_wake(s, first, HUGE_PAGES);
	} else {
		for (size_t k = 0; k < HUGE_PAGES; k++)
			if (!staging_test(h->in, k) &&
			    pages_request(&s->table, first + k) && ask)
				placement_want(wants, first + k);
		rc = place_if_complete(s, h, first, true, err);
	}
	staging_leave(s->staging, h);
	return rc;
}

static void huge_wanted(struct page_store *s, size_t page,
			struct page_wants *wants)
{
	for (size_t k = 0; k < HUGE_PAGES; k++)
		if (pages_get(&s->table, page + k) == PAGE_REQUESTED)
			placement_want(wants, page + k);
}

static enum page_have staged_page(const struct huge_page *h, size_t k)
{
	if (!staging_test(h->in, k))
		return HAVE_ABSENT;
	return staging_test(h->lost, k) ? HAVE_POISONED : HAVE_STAGED;
}

/* Huge pages of which nothing is staged are left out as a whole */
static size_t huge_staged(const struct page_store *s, size_t page, size_t n,
			  enum page_have *have)
{
	const struct huge_page *all = s->staging->page;
	const size_t end = page + n;
	size_t at = page;

	*have = staged_page(&all[page / HUGE_PAGES], page % HUGE_PAGES);
	while (at < end) {
		const struct huge_page *h = &all[at / HUGE_PAGES];

		if (*have == HAVE_ABSENT && !h->used)
			at += HUGE_PAGES - at % HUGE_PAGES;
		else if (staged_page(h, at % HUGE_PAGES) == *have)
			at++;
		else
			break;
	}
	return (at < end ? at : end) - page;
}

static int huge_inject(struct page_store *s, size_t page, struct error *err)
{
	const uint64_t offset = (uint64_t)page * WIRE_PAGE;
	struct arrival a = { .lost = true };
	int rc;

	switch (pages_get(&s->table, page)) {
	case PAGE_MISSING:
	case PAGE_REQUESTED:
	case PAGE_ZERO:
		rc = stage_run(s, page, 1, &a, err);
		if (rc || !a.refused)
			return rc;
		break;		/* it has arrived just now */
	case PAGE_PRESENT:
		/* Where small pages are, the machine does it by itself */
		if (!ram_is_huge(s->ram, offset) &&
		    pages_lose(&s->table, page))
			return 1;
		return error_set(err, EAGAIN,
			"the huge page can't be split while pages arrive: try again after the migration");
	default:
		break;
	}
	return error_set(err, EAGAIN, "the page is just arriving: try again");
}

static bool huge_has_old(const struct page_store *s, size_t page)
{
	const struct huge_page *h = &s->staging->page[page / HUGE_PAGES];

	return pages_get(&s->table, page) == PAGE_PRESENT ||
	       staging_test(h->in, page % HUGE_PAGES);
}

/* In the buffer, or in place once the huge page is complete */
static int replace_page(struct page_store *s, size_t page,
			const uint8_t *data, struct error *err)
{
	struct huge_page *h = staging_enter(s->staging, page);
	uint8_t *buffer = h->placed ? NULL : h->data;
	int rc = 0;

	if (buffer)
		staging_store(buffer, page % HUGE_PAGES,
			      data ? data : zero_page);
	else
		rc = placement_overwrite(s, page, data, err);
	staging_leave(s->staging, h);
	return rc;
}

static int huge_replace(struct page_store *s, size_t page,
			const uint8_t *data, size_t n, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = replace_page(s, page + i,
				  data ? data + i * WIRE_PAGE : NULL, err);
	return rc;
}

/* Memory that is mapped anew is not registered yet */
static int drop_whole(struct page_store *s, size_t first, struct error *err)
{
	int rc = ram_drop(s->ram, (uint64_t)first * WIRE_PAGE, RAM_HUGE, err);

	if (!rc)
		rc = uffd_register(s->uffd, placement_hva(s, first), RAM_HUGE,
				   UFFD_MISSING, err);
	if (!rc)
		s->stats->again += pages_forget(&s->table, first, HUGE_PAGES);
	return rc;
}

/* What is staged is not in place: its claims are released */
static void unstage(struct page_store *s, struct huge_page *h, size_t first)
{
	for (size_t k = 0; k < HUGE_PAGES; k++) {
		if (!staging_test(h->in, k))
			continue;
		pages_released(&s->table, first + k, 1);
		s->stats->again++;
	}
}

/*
 * As if nothing had arrived. The buffer of a huge page that is not complete
 * stays, to be used again
 */
static int discard_whole(struct page_store *s, size_t first,
			 struct error *err)
{
	struct huge_page *h = staging_enter(s->staging, first);
	int rc = 0;

	if (h->placed)
		rc = drop_whole(s, first, err);
	else
		unstage(s, h, first);
	staging_leave(s->staging, h);
	if (rc)
		return rc;
	for (size_t w = 0; w < STAGING_WORDS; w++)
		h->in[w] = 0;
	h->used = h->placing = h->joined = h->placed = false;
	return 0;
}

static int huge_discard(struct page_store *s, size_t page, size_t n,
			struct error *err)
{
	int rc = 0;

	if (page % HUGE_PAGES || n % HUGE_PAGES)
		return error_set(err, EBADMSG,
			"the peer discards a part of a huge page");
	for (size_t i = 0; i < n && !rc; i += HUGE_PAGES)
		rc = discard_whole(s, page + i, err);
	return rc;
}

const struct placement_ops placement_huge = {
	.name		= "huge pages",
	.requests_max	= HUGE_PAGES / 2,
	.init		= huge_init,
	.fini		= huge_fini,
	.contents	= huge_contents,
	.zero		= huge_zero,
	.poison		= huge_poison,
	.fault		= huge_fault,
	.wanted		= huge_wanted,
	.staged		= huge_staged,
	.inject		= huge_inject,
	.settle		= huge_settle,
	.has_old	= huge_has_old,
	.replace	= huge_replace,
	.discard	= huge_discard,
};
