// SPDX-License-Identifier: MIT
/*
 * huge.c - Pages into a destination's RAM of huge pages
 *
 * Any thread may bring pages. Under the lock it claims them and copies them to
 * the buffer; whoever brings the last places the huge page, without the lock. All
 * its small pages are claimed by then, so nobody else comes near it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "huge.h"
#include "vmm/base/log.h"
#include "vmm/memory/uffd.h"

#define SPARES	4	/* buffers kept for the next: their memory is warm */

/**
 * struct gathering - A huge page of which something has arrived
 * @data:	contents
 * @was:	what each claimed page was
 * @in:		the page is claimed, and dealt with
 * @lost:	it is poison
 * @delivered:	and the guest knows
 * @placing:	somebody places it
 */
struct gathering {
	uint8_t *data;
	enum page_state was[HUGE_PAGES];
	bool in[HUGE_PAGES], lost[HUGE_PAGES], delivered[HUGE_PAGES];
	bool placing;
};

/**
 * struct huge - All of them
 * @lock:	protects all of it; inflight's and the poison list's are taken
 *		under it, and no other
 * @g:		one for each huge page, or NULL
 * @n:		huge pages
 * @spare:	buffers
 * @spares:	how many
 */
struct huge {
	pthread_mutex_t lock;
	struct gathering **g;
	size_t n;
	uint8_t *spare[SPARES];
	unsigned spares;
};

static uint8_t *get_buffer(struct huge *h)
{
	uint8_t *p;

	if (h->spares)
		return h->spare[--h->spares];
	p = mmap(NULL, RAM_HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void put_buffer(struct huge *h, uint8_t *p)
{
	if (h->spares < SPARES)
		h->spare[h->spares++] = p;
	else
		munmap(p, RAM_HUGE);
}

int huge_new(struct target *t)
{
	struct huge *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->n = t->pages.n / HUGE_PAGES;
	h->g = calloc(h->n, sizeof(*h->g));
	if (!h->g) {
		free(h);
		return -ENOMEM;
	}
	pthread_mutex_init(&h->lock, NULL);
	t->huge = h;
	return 0;
}

static void drop(struct huge *h, size_t i)
{
	put_buffer(h, h->g[i]->data);
	free(h->g[i]);
	h->g[i] = NULL;
}

void huge_free(struct target *t)
{
	struct huge *h = t->huge;

	if (!h)
		return;
	for (size_t i = 0; i < h->n; i++)
		if (h->g[i])
			drop(h, i);
	while (h->spares)
		munmap(h->spare[--h->spares], RAM_HUGE);
	pthread_mutex_destroy(&h->lock);
	free(h->g);
	free(h);
	t->huge = NULL;
}

/* The gathering of a huge page; with the lock held */
static struct gathering *get(struct huge *h, size_t i)
{
	struct gathering *g = h->g[i];

	if (g)
		return g;
	g = calloc(1, sizeof(*g));
	if (g)
		g->data = get_buffer(h);
	if (g && !g->data) {
		free(g);
		g = NULL;
	}
	h->g[i] = g;
	return g;
}

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "out of memory for a huge page");
}

/* Is nothing of it missing any more? Whoever is told so places it */
static bool take_if_whole(struct target *t, size_t i)
{
	struct gathering *g = t->huge->g[i];

	if (g->placing)
		return false;
	for (size_t k = 0; k < HUGE_PAGES; k++)
		if (!g->in[k] && pages_get(&t->pages, i * HUGE_PAGES + k) !=
				 PAGE_ZERO)
			return false;
	g->placing = true;
	return true;
}

/* Claim what is known to be zeroes: then all of it is ours */
static int claim_zeroes(struct target *t, struct gathering *g, size_t first)
{
	for (size_t k = 0; k < HUGE_PAGES; k++) {
		if (g->in[k])
			continue;
		if (!pages_claim(&t->pages, first + k, &g->was[k]))
			return -EBUSY;
		memset(g->data + k * WIRE_PAGE, 0, WIRE_PAGE);
		g->in[k] = true;
	}
	return 0;
}

static int copy_whole(struct target *t, const struct gathering *g,
		      size_t first, struct error *err)
{
	uint8_t *at = t->m->ram.base + first * WIRE_PAGE;
	size_t done;
	int rc = uffd_copy(t->uffd, at, g->data, RAM_HUGE, &done);

	if (rc == -EEXIST) {	/* as place.c:found_present() */
		log_line("0x%llx: huge page refused, %s",
			 (unsigned long long)ram_gpa(&t->m->ram,
						     first * WIRE_PAGE),
			 uffd_cause(rc));
		t->se.progress->stats.duplicates += HUGE_PAGES;
		uffd_wake(t->uffd, at, RAM_HUGE);
		rc = 0;
	}
	return rc ? error_set(err, -rc, "cannot place a huge page at 0x%llx: %s",
			(unsigned long long)ram_gpa(&t->m->ram,
						    first * WIRE_PAGE),
			uffd_cause(rc)) : 0;
}

static int split_whole(struct target *t, const struct gathering *g,
		       size_t first, struct error *err)
{
	const uint64_t offset = (uint64_t)first * WIRE_PAGE;
	int rc;

	if (t->can_poison)
		rc = ram_split(&t->m->ram, offset, g->data, g->lost, t->uffd,
			       err);
	else
		rc = ram_wall(&t->m->ram, offset, RAM_HUGE);
	if (rc)
		error_set(err, -rc, "cannot take away a huge page: %s",
			  strerrordesc_np(-rc));
	else
		uffd_wake(t->uffd, t->m->ram.base + offset, RAM_HUGE);
	return rc;
}

static void settle(struct target *t, const struct gathering *g, size_t first)
{
	for (size_t k = 0; k < HUGE_PAGES; k++)
		pages_settle(&t->pages, first + k, g->was[k], g->lost[k]
			     ? PAGE_POISONED : PAGE_PRESENT);
	inflight_done(&t->inflight, first, HUGE_PAGES);
}

/*
 * It's all in the list before a vCPU can meet it. Without UFFDIO_POISON there is
 * no way to take away a part of a huge page, so all of it is lost.
 */
static int enter_lost(struct target *t, struct gathering *g, size_t first,
		      struct error *err)
{
	int rc = 0;

	if (!t->can_poison) {
		memset(g->lost, true, sizeof(g->lost));
		return target_enter_poison(t, first, HUGE_PAGES, false, err);
	}
	for (size_t k = 0; k < HUGE_PAGES && !rc; k++)
		if (g->lost[k])
			rc = target_enter_poison(t, first + k, 1,
						 g->delivered[k], err);
	return rc;
}

static bool any_lost(const struct gathering *g)
{
	for (size_t k = 0; k < HUGE_PAGES; k++)
		if (g->lost[k])
			return true;
	return false;
}

/* Place what take_if_whole() gave */
static int place(struct target *t, size_t i, struct error *err)
{
	const size_t first = i * HUGE_PAGES;
	struct gathering *g = t->huge->g[i];
	int rc = claim_zeroes(t, g, first);

	if (rc)
		return error_set(err, -rc,
				 "a page of a huge page is claimed twice");
	if (any_lost(g)) {
		rc = enter_lost(t, g, first, err);
		rc = rc ? rc : split_whole(t, g, first, err);
	} else {
		rc = copy_whole(t, g, first, err);
	}
	if (rc)
		return rc;	/* the migration ends; the buffer stays */
	settle(t, g, first);
	pthread_mutex_lock(&t->huge->lock);
	drop(t->huge, i);
	pthread_mutex_unlock(&t->huge->lock);
	return 0;
}

/* What to do with each page of a run; @g is NULL if there is none yet */
typedef int page_fn(struct target *t, size_t page, void *arg);

/* Go through a run, huge page by huge page, and place those that are whole */
static int each(struct target *t, size_t page, size_t n, page_fn *fn,
		void *arg, struct error *err)
{
	struct huge *h = t->huge;
	size_t end = page + n;
	int rc = 0;

	while (page < end && !rc) {
		size_t i = page / HUGE_PAGES;
		bool whole = false;

		pthread_mutex_lock(&h->lock);
		for (; page < end && page / HUGE_PAGES == i && !rc; page++)
			rc = fn(t, page, arg);
		if (!rc && h->g[i])
			whole = take_if_whole(t, i);
		pthread_mutex_unlock(&h->lock);
		if (rc)
			no_memory(err);
		else if (whole)
			rc = place(t, i, err);
	}
	return rc;
}

/* Claim a page and find its gathering. Return: 1, 0 (not free), -ENOMEM */
static int claim(struct target *t, size_t page, struct gathering **g)
{
	const size_t k = page % HUGE_PAGES;
	enum page_state was;

	if (!pages_claim(&t->pages, page, &was))
		return 0;
	*g = get(t->huge, page / HUGE_PAGES);
	if (!*g) {
		pages_release(&t->pages, page, was);
		return -ENOMEM;
	}
	(*g)->was[k] = was;
	(*g)->in[k] = true;
	return 1;
}

struct contents {
	const uint8_t *data;
	enum page_count kind;
};

static int take_contents(struct target *t, size_t page, void *arg)
{
	struct contents *c = arg;
	const uint8_t *data = c->data;
	struct gathering *g;
	int rc = claim(t, page, &g);

	c->data += WIRE_PAGE;
	if (rc > 0) {
		memcpy(g->data + page % HUGE_PAGES * WIRE_PAGE, data,
		       WIRE_PAGE);
		t->se.progress->stats.pages[c->kind]++;
	} else if (!rc) {
		t->se.progress->stats.duplicates++;
	}
	return rc < 0 ? rc : 0;
}

int huge_pages(struct target *t, size_t page, const uint8_t *data, size_t n,
	       enum page_count kind, struct error *err)
{
	struct contents c = { data, kind };

	return each(t, page, n, take_contents, &c, err);
}

/* Only what somebody waits for becomes part of a gathering */
static int take_zero(struct target *t, size_t page, void *arg)
{
	struct gathering *g;
	int rc = 0;

	(void)arg;
	if (pages_set_zero(&t->pages, page, 1)) {
		t->se.progress->stats.pages[COUNT_ZERO]++;
	} else if (pages_get(&t->pages, page) == PAGE_REQUESTED) {
		rc = claim(t, page, &g);
		if (rc > 0) {
			memset(g->data + page % HUGE_PAGES * WIRE_PAGE, 0,
			       WIRE_PAGE);
			t->se.progress->stats.pages[COUNT_ZERO]++;
		}
	}
	return rc < 0 ? rc : 0;
}

int huge_zero(struct target *t, size_t page, size_t n, struct error *err)
{
	return each(t, page, n, take_zero, NULL, err);
}

struct loss {
	bool delivered;
	size_t refused;		/* pages: something is there, or on its way */
};

static int take_poison(struct target *t, size_t page, void *arg)
{
	struct loss *l = arg;
	struct gathering *g;
	int rc = claim(t, page, &g);

	if (rc > 0) {
		g->lost[page % HUGE_PAGES] = true;
		g->delivered[page % HUGE_PAGES] = l->delivered;
	} else if (!rc) {
		l->refused++;
	}
	return rc < 0 ? rc : 0;
}

int huge_poison(struct target *t, size_t page, size_t n, bool delivered,
		struct error *err)
{
	struct loss l = { .delivered = delivered };
	int rc = each(t, page, n, take_poison, &l, err);

	t->se.progress->stats.refused += l.refused;
	return rc;
}

int huge_settle(struct target *t, struct error *err)
{
	struct huge *h = t->huge;
	int rc = 0;

	for (size_t i = 0; h && i < h->n && !rc; i++) {
		bool whole;

		pthread_mutex_lock(&h->lock);
		whole = h->g[i] && take_if_whole(t, i);
		pthread_mutex_unlock(&h->lock);
		if (whole)
			rc = place(t, i, err);
	}
	return rc;
}

int huge_touch(struct target *t, size_t first, bool *wanted,
	       struct error *err)
{
	const size_t i = first / HUGE_PAGES;
	bool whole = false;
	int rc = 0;

	pthread_mutex_lock(&t->huge->lock);
	switch (pages_get(&t->pages, first)) {
	case PAGE_PRESENT:
	case PAGE_POISONED:
		rc = 1;
		break;
	default:
		for (size_t k = 0; k < HUGE_PAGES; k++)
			wanted[k] = target_is_linked(session_phase(&t->se)) &&
				    pages_request(&t->pages, first + k);
		if (get(t->huge, i))
			whole = take_if_whole(t, i);
		else
			rc = no_memory(err);
	}
	pthread_mutex_unlock(&t->huge->lock);
	return whole ? place(t, i, err) : rc;
}

int huge_inject(struct target *t, size_t page, struct error *err)
{
	const uint64_t offset = (uint64_t)page * WIRE_PAGE;
	struct loss l = { 0 };
	int rc;

	switch (pages_get(&t->pages, page)) {
	case PAGE_MISSING:
	case PAGE_REQUESTED:
	case PAGE_ZERO:
		rc = each(t, page, 1, take_poison, &l, err);
		if (rc || !l.refused)
			return rc;
		break;		/* it has come just now */
	case PAGE_PRESENT:
		/* Where small pages are it's done as on any machine */
		if (!ram_is_huge(&t->m->ram, offset) &&
		    pages_poison_present(&t->pages, page))
			return 1;
		return error_set(err, EAGAIN,
			"the huge page can't be split while pages arrive: try again after the migration");
	default:
		break;
	}
	return error_set(err, EAGAIN, "the page is just arriving: try again");
}
