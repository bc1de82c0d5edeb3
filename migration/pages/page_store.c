// SPDX-License-Identifier: MIT
/* page_store.c - A destination's RAM while its pages arrive */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "placement.h"
#include "vmm/base/log.h"
#include "vmm/memory/uffd.h"

#define ABANDON_TRIES	1000
#define ABANDON_US	1000

void page_store_init(struct page_store *s, struct page_stats *stats,
		     const struct page_store_events *events, bool can_poison)
{
	*s = (struct page_store){
		.uffd = -1, .stats = stats, .events = *events,
		.can_poison = can_poison, .waiters.stats = stats,
		.call = { uffd_copy, uffd_zero, uffd_poison, uffd_move },
	};
	pthread_mutex_init(&s->close_lock, NULL);
}

void page_store_fini(struct page_store *s)
{
	pages_fini(&s->arrived);
	pthread_mutex_destroy(&s->close_lock);
}

/*
 * No huge page may form over a missing page: it would make the page present,
 * of zeroes. khugepaged did so in a memfd before Linux 6.4 (commit
 * "mm: khugepaged: skip shmem with userfaultfd"). EINVAL: a kernel without
 * transparent huge pages, or RAM of hugetlb.
 */
static int forbid_huge_pages(const struct ram *ram, struct error *err)
{
	if (!madvise(ram->base, ram->size, MADV_NOHUGEPAGE) ||
	    errno == EINVAL)
		return 0;
	return error_set(err, errno, "MADV_NOHUGEPAGE: %s",
			 strerrordesc_np(errno));
}

static int init_table(struct page_store *s, size_t n)
{
	int rc;

	pthread_mutex_lock(&s->close_lock);
	pages_fini(&s->arrived);
	rc = pages_init(&s->table, n);
	pthread_mutex_unlock(&s->close_lock);
	return rc;
}

int page_store_open(struct page_store *s, struct ram *ram, struct error *err)
{
	int rc;

	s->ram = ram;
	s->accepted = false;
	s->ops = ram->unit > WIRE_PAGE ? &placement_huge : &placement_small;
	s->can_move = s->ops->block && ram->backing == RAM_ANON &&
		      !((uintptr_t)ram->base % RAM_HUGE);
	memset((void *)&s->waiters, 0, sizeof(s->waiters));
	s->waiters.stats = s->stats;
	rc = uffd_open(s->can_poison, err);
	if (rc < 0)
		return rc;
	s->uffd = rc;
	rc = forbid_huge_pages(ram, err);
	if (!rc && s->events.report)
		rc = reporter_start(&s->reporter, s->events.report,
				    s->events.ctx, err);
	if (rc)
		return rc;
	if (init_table(s, ram->size / WIRE_PAGE) || s->ops->init(s))
		return error_set(err, ENOMEM,
				 "out of memory for the page table");
	return uffd_register(s->uffd, ram->base, ram->size, UFFD_MISSING,
			     err);
}

void page_store_abandon(struct page_store *s)
{
	int rc = 0;

	/* A thread that waits for a page has nothing else that ends its wait */
	for (unsigned i = 0; i < ABANDON_TRIES; i++) {
		pthread_mutex_lock(&s->close_lock);
		rc = s->uffd < 0 ? 0 : uffd_unregister(s->uffd, s->ram->base,
						       s->ram->size);
		pthread_mutex_unlock(&s->close_lock);
		if (!rc)
			return;
		usleep(ABANDON_US);
	}
	log_line("UFFDIO_UNREGISTER: %s: threads may wait for pages that do not come",
		 strerrordesc_np(-rc));
}

void page_store_close(struct page_store *s)
{
	int rc;

	reporter_end(&s->reporter);
	pthread_mutex_lock(&s->close_lock);
	if (s->uffd >= 0) {
		rc = uffd_unregister(s->uffd, s->ram->base, s->ram->size);
		/* Closing does the same, and can't fail */
		if (rc)
			log_line("UFFDIO_UNREGISTER: %s",
				 strerrordesc_np(-rc));
		close(s->uffd);
		s->uffd = -1;
	}
	if (s->ops)
		s->ops->fini(s);
	if (s->table.word) {
		s->arrived.word = s->table.word;
		s->arrived.chunk = s->table.chunk;
		s->arrived.n = s->table.n;
		s->table.word = NULL;
		s->table.chunk = NULL;
	}
	pthread_mutex_unlock(&s->close_lock);
}

bool page_store_show(struct page_store *s, size_t page, size_t n,
		     uint8_t *to)
{
	const struct pages *t;
	bool known;

	pthread_mutex_lock(&s->close_lock);
	t = s->table.word ? &s->table : &s->arrived;
	known = t->word && page + n <= t->n;
	if (known)
		pages_show(t, page, n, to);
	pthread_mutex_unlock(&s->close_lock);
	return known;
}

static int find_pages(const struct page_store *s, uint64_t gpa, size_t n,
		      size_t *page, struct error *err)
{
	uint64_t offset;

	if (!ram_offset(s->ram, gpa, n * WIRE_PAGE, &offset))
		return error_set(err, EBADMSG,
			"the peer named pages that are no RAM: %zu at 0x%llx",
			n, (unsigned long long)gpa);
	*page = (size_t)(offset / WIRE_PAGE);
	return 0;
}

int page_store_poison(struct page_store *s, uint64_t gpa, size_t n,
		      bool delivered, struct error *err)
{
	size_t page = 0;
	int rc = find_pages(s, gpa, n, &page, err);

	if (!rc && !s->can_poison && !s->accepted)
		rc = error_set(err, ENOTSUP,
			"the guest's page at 0x%llx is lost, and this kernel has no "
			"UFFDIO_POISON (Linux 6.6 or newer has)",
			(unsigned long long)gpa);
	return rc ? rc : s->ops->poison(s, page, n, delivered, err);
}

void page_store_set_zero(struct page_store *s, size_t page, size_t n)
{
	s->stats->pages[COUNT_ZERO] += pages_set_zero(&s->table, page, n);
}

void page_store_set_missing(struct page_store *s, size_t page, size_t n)
{
	s->stats->pages[COUNT_ZERO] -= pages_set_missing(&s->table, page, n);
}

int page_store_settle(struct page_store *s, struct error *err)
{
	return s->ops->settle(s, err);
}

bool page_store_can_move(const struct page_store *s)
{
	return s->can_move;
}

/* A vCPU that waits for a page of it has made a page table: see place_small.c */
static bool is_untouched(const struct page_store *s, size_t first)
{
	const size_t end = first + CHUNK_PAGES;
	enum page_have have;

	return pages_run(&s->table, first, end, &have) == CHUNK_PAGES &&
	       have == HAVE_ABSENT &&
	       pages_next_requested(&s->table, first, end) == end;
}

bool page_store_takes_block(const struct page_store *s, uint64_t gpa,
			    size_t *first)
{
	uint64_t offset;

	if (!s->can_move || gpa % RAM_HUGE ||
	    !ram_offset(s->ram, gpa, RAM_HUGE, &offset))
		return false;
	*first = (size_t)(offset / WIRE_PAGE);
	return is_untouched(s, *first);
}

int page_store_block(struct page_store *s, size_t first,
		     struct huge_buffer *b, struct error *err)
{
	return is_untouched(s, first)
		? s->ops->block(s, first, b, err)
		: s->ops->contents(s, first, b->data, CHUNK_PAGES, false, err);
}

int page_store_contents(struct page_store *s, size_t page,
			const uint8_t *data, size_t n, struct error *err)
{
	return s->ops->contents(s, page, data, n, false, err);
}

void page_store_received(struct page_store *s, const struct wire_msg *msg,
			 bool demanded)
{
	s->stats->bytes += WIRE_HEADER + msg->length;
	s->stats->bytes_of[demanded ? COUNT_DEMAND : COUNT_PUSH] +=
		WIRE_HEADER + msg->length;
}

/* Pages from @page on of which contents are here, or are not. Return: how many */
static size_t old_run(const struct page_store *s, size_t page, size_t n,
		      bool *old)
{
	size_t k = 1;

	*old = s->ops->has_old(s, page);
	while (k < n && s->ops->has_old(s, page + k) == *old)
		k++;
	return k;
}

static int pass_zero(struct page_store *s, size_t page, size_t n,
		     struct error *err)
{
	page_store_set_zero(s, page, n);
	return s->ops->zero(s, page, n, false, err);
}

/* @data: NULL for zeroes */
static int pass_pages(struct page_store *s, size_t page, size_t n,
		      const uint8_t *data, struct error *err)
{
	int rc = 0;

	for (size_t k; n && !rc; n -= k) {
		bool old;

		k = old_run(s, page, n, &old);
		if (old)
			rc = s->ops->replace(s, page, data, k, err);
		else if (data)
			rc = s->ops->contents(s, page, data, k, false, err);
		else
			rc = pass_zero(s, page, k, err);
		page += k;
		data = data ? data + k * WIRE_PAGE : NULL;
	}
	return rc;
}

int page_store_pass(struct page_store *s, const struct wire_msg *msg,
		    const uint8_t *data, struct error *err)
{
	size_t page = 0;
	int rc;

	page_store_received(s, msg, false);
	if (msg->type != WIRE_MSG_PAGES && msg->type != WIRE_MSG_ZERO)
		return error_set(err, EBADMSG,
			"the peer sent %s in a precopy pass",
			wire_name(msg->type));
	if (msg->b > WIRE_RUN_PAGES)
		return error_set(err, EBADMSG,
			"the peer's %s message in a precopy pass has %llu pages, not 1 to %u",
			wire_name(msg->type), (unsigned long long)msg->b,
			WIRE_RUN_PAGES);
	rc = find_pages(s, msg->a, msg->b, &page, err);
	if (rc)
		return rc;
	/* They were announced as zeroes, or by an earlier pass */
	page_store_set_missing(s, page, msg->b);
	return pass_pages(s, page, msg->b,
			  msg->type == WIRE_MSG_PAGES ? data : NULL, err);
}

int page_store_discard(struct page_store *s, size_t page, size_t n,
		       struct error *err)
{
	int rc = s->ops->discard(s, page, n, err);

	if (!rc)
		page_store_set_missing(s, page, n);
	return rc;
}

bool page_store_has_old(const struct page_store *s, size_t page, size_t n)
{
	size_t i = 0;

	while (i < n && !s->ops->has_old(s, page + i))
		i++;
	return i < n;
}

int page_store_message(struct page_store *s, const struct wire_msg *msg,
		       const uint8_t *data, bool demanded, struct error *err)
{
	size_t page = 0;
	int rc;

	page_store_received(s, msg, demanded);
	switch (msg->type) {
	case WIRE_MSG_PAGES:
		rc = find_pages(s, msg->a, msg->b, &page, err);
		return rc ? rc : s->ops->contents(s, page, data, msg->b,
						  demanded, err);
	case WIRE_MSG_ZERO:
		rc = find_pages(s, msg->a, msg->b, &page, err);
		if (rc)
			return rc;
		page_store_set_zero(s, page, msg->b);
		return s->ops->zero(s, page, msg->b, demanded, err);
	case WIRE_MSG_POISON:
		return page_store_poison(s, msg->a, msg->b, false, err);
	default:
		return error_set(err, EBADMSG,
			"the peer sent %s among the pages",
			wire_name(msg->type));
	}
}

int page_store_fault(struct page_store *s, size_t page, unsigned vcpu,
		     bool ask, struct page_wants *wants, struct error *err)
{
	*wants = (struct page_wants){ .first = page };
	return s->ops->fault(s, page, vcpu, ask, wants, err);
}

void page_store_waits_begin(struct page_store *s, struct page_waits *w)
{
	w->n = waiters_pages(&s->waiters, w->page);
	w->at = 0;
	w->next = 0;
}

static bool is_known_wait(const struct page_waits *w, size_t page)
{
	unsigned i = 0;

	while (i < w->n && w->page[i].page != page)
		i++;
	return i < w->n;
}

/* The next page that is requested and is not among the known ones */
static bool find_unknown_wait(struct page_store *s, struct page_waits *w,
			      size_t *page)
{
	const size_t unit = s->ram->unit / WIRE_PAGE, n = s->table.n;

	while ((w->next = pages_next_requested(&s->table, w->next, n)) < n) {
		*page = w->next - w->next % unit;
		w->next = *page + unit;
		if (!is_known_wait(w, *page))
			return true;
	}
	return false;
}

bool page_store_waits_next(struct page_store *s, struct page_waits *w,
			   struct page_wants *wants)
{
	size_t page;

	for (;;) {
		if (w->at < w->n)
			page = w->page[w->at++].page;
		else if (!find_unknown_wait(s, w, &page))
			return false;
		*wants = (struct page_wants){ .first = page };
		s->ops->wanted(s, page, wants);
		if (wants->any)
			return true;
	}
}

/* A run that ends where what this side has changes */
static size_t have_run(const struct page_store *s, size_t page,
		       enum page_have *have)
{
	size_t n = pages_run(&s->table, page, s->table.n, have);

	return n && *have == HAVE_ABSENT ? s->ops->staged(s, page, n, have)
					 : n;
}

size_t page_store_report(const struct page_store *s, size_t *from,
			 struct page_run *run, size_t max)
{
	size_t runs = 0;

	while (*from < s->table.n) {
		enum page_have have;
		size_t n = have_run(s, *from, &have);
		struct page_run *last = runs ? &run[runs - 1] : NULL;

		if (have == HAVE_ABSENT) {
			;
		} else if (last && last->have == have &&
			   last->first + last->pages == *from) {
			last->pages += n;	/* poison, staged and placed */
		} else if (runs == max) {
			break;
		} else {
			run[runs++] = (struct page_run){ *from, n, have };
		}
		*from += n;
	}
	return runs;
}

bool page_store_is_demanded(const struct page_store *s,
			    const struct wire_msg *msg)
{
	return msg->b == 1 || s->ops->requests_max > 1;
}

size_t page_store_requests_max(const struct page_store *s)
{
	return s->ops->requests_max;
}

static int inject_open(struct page_store *s, uint64_t offset, bool simulate,
		       struct error *err)
{
	size_t page = (size_t)(offset / WIRE_PAGE);

	if (!simulate && pages_get(&s->table, page) == PAGE_PRESENT)
		return 1;
	if (!simulate)
		return error_set(err, EAGAIN,
			"the page has not arrived yet: try again, or use --method simulate");
	if (!s->can_poison)
		return error_set(err, ENOTSUP,
			"this kernel has no UFFDIO_POISON (Linux 6.6 or newer has): "
			"use --method hwpoison");
	return s->ops->inject(s, page, err);
}

int page_store_inject(struct page_store *s, uint64_t offset, bool simulate,
		      struct error *err)
{
	int rc = 1;

	pthread_mutex_lock(&s->close_lock);
	/* Closed: every page is here, and the machine does it by itself */
	if (s->uffd >= 0)
		rc = inject_open(s, offset, simulate, err);
	pthread_mutex_unlock(&s->close_lock);
	return rc;
}
