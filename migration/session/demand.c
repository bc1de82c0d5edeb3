// SPDX-License-Identifier: MIT
/* demand.c - The source's thread that answers requests */

#include <errno.h>
#include <string.h>

#include "demand.h"
#include "priority.h"
#include "push.h"
#include "vmm/base/clock.h"

/*
 * A page that was pushed is sent again: on the push connection megabytes may be
 * queued before the first copy, and the destination drops the second. If it
 * can't be read any more, nothing is sent: the first copy is right, whether it
 * is contents or poison.
 */
static int answer_page(struct demand_server *d, size_t page,
		       struct error *err)
{
	struct page_source *p = d->pages;
	bool first = ledger_take_demanded(&p->ledger, page);
	int rc = batch_fill(&d->batch, page, 1, err);

	if (rc)
		return rc;
	if (!first) {
		p->stats->duplicates++;
		if (d->batch.lost_pages)
			return 0;
	}
	return push_batch(p, &d->batch, d->c,
			  first ? COUNT_DEMAND : PAGE_COUNTS, err);
}

/*
 * A destination with huge pages requests many pages at once. Return: pages
 * answered, from @page on, or -errno
 */
static long answer_run(struct demand_server *d, size_t page, size_t max,
		       struct error *err)
{
	struct page_source *p = d->pages;
	size_t n = max > 1 ? ledger_take(&p->ledger, page, max) : 0;
	int rc;

	if (!n) {
		rc = answer_page(d, page, err);
		return rc ? rc : 1;
	}
	rc = batch_fill(&d->batch, page, n, err);
	if (!rc)
		rc = push_batch(p, &d->batch, d->c, COUNT_DEMAND, err);
	return rc ? rc : (long)n;
}

/* Bounded by RAM. What is after the page comes first: walks go upward */
static void rest_add(struct demand_server *d, size_t page,
		     const struct wire_msg *m)
{
	const size_t from = page + m->b, room = d->pages->ledger.n - from;

	if (!m->before && !m->after)
		return;
	d->rest[++d->newest % DEMAND_RESTS] = (struct demand_rest){
		.at = from,
		.end = from + (m->after < room ? m->after : room),
		.first = page - (m->before < page ? m->before : page),
		.last = page,
	};
}

static int answer_request(struct demand_server *d, const struct wire_msg *m,
			  struct error *err)
{
	struct page_source *p = d->pages;
	uint64_t offset;
	size_t page;
	long n = 0;

	if (m->type != WIRE_MSG_REQUEST || m->b > WIRE_RUN_PAGES ||
	    !ram_offset(p->ram, m->a, m->b * WIRE_PAGE, &offset))
		return error_set(err, EBADMSG,
			"the peer asked for what is no RAM: %s, %llu pages at 0x%llx",
			wire_name(m->type), (unsigned long long)m->b,
			(unsigned long long)m->a);
	page = (size_t)(offset / WIRE_PAGE);
	p->stats->requests += m->b;
	p->asked = now_ns();
	for (size_t i = 0; i < m->b && n >= 0; i += (size_t)n)
		n = answer_run(d, page + i, m->b - i, err);
	rest_add(d, page, m);
	cursor_fault(&p->cursor, page);
	return n < 0 ? (int)n : 0;
}

/* The next run of a rest that is not taken. Return: pages */
static size_t rest_take(struct demand_rest *r, struct ledger *l, size_t *first)
{
	for (;;) {
		size_t n, max;

		r->at = ledger_next(l, r->at, r->end);
		if (r->at == r->end) {
			if (r->first == r->last)
				return 0;
			r->at = r->first;
			r->end = r->last;
			r->first = r->last;
			continue;
		}
		max = r->end - r->at;
		n = ledger_take(l, r->at, max < WIRE_RUN_PAGES ? max
							: WIRE_RUN_PAGES);
		*first = r->at;
		r->at += n;
		if (n)
			return n;
		/* A push thread was faster: look again from there */
	}
}

/*
 * Send a run of what shall follow the answers, of the newest one first. Not if
 * the bandwidth limit would hold it back: this thread never sleeps, and the
 * push threads send those pages, too. Return: pages sent, 0: none are left,
 * -errno
 */
static long send_rest(struct demand_server *d, struct error *err)
{
	struct page_source *p = d->pages;
	const uint64_t now = now_ns();
	size_t first = 0, n = 0;
	int rc;

	if (pacer_wait_ns(&p->pacer, now))
		memset(d->rest, 0, sizeof(d->rest));
	for (unsigned i = 0; !n && i < DEMAND_RESTS; i++)
		n = rest_take(&d->rest[(d->newest - i) % DEMAND_RESTS],
			      &p->ledger, &first);
	if (!n)
		return 0;
	rc = batch_fill(&d->batch, first, n, err);
	if (rc)
		return rc;
	pacer_spend(&p->pacer, now, d->batch.bytes);
	rc = push_batch(p, &d->batch, d->c, COUNT_PUSH, err);
	return rc ? rc : (long)n;
}

/* Answer all whole requests in the buffer */
static int answer_all(struct demand_server *d, struct error *err)
{
	size_t used = 0;
	int rc = 0;

	while (!rc && d->have - used >= WIRE_HEADER) {
		struct wire_msg m;

		rc = wire_get(d->in + used, &m, err);
		if (!rc)
			rc = answer_request(d, &m, err);
		used += WIRE_HEADER;
	}
	d->have -= used;
	memmove(d->in, d->in + used, d->have);
	return rc;
}

static int serve_requests(struct demand_server *d, struct error *err)
{
	bool idle = false;

	for (;;) {
		long n = channel_recv_some(d->c, d->in + d->have,
					   sizeof(d->in) - d->have, idle, err);

		if (n > 0) {
			d->have += (size_t)n;
			n = answer_all(d, err);
			idle = false;
		} else if (!n) {
			n = send_rest(d, err);
			idle = !n;
		}
		if (n < 0)
			return (int)n;
	}
}

static void *demand_main(void *arg)
{
	struct demand_server *d = arg;
	struct error err = { 0 };

	priority_raise();
	serve_requests(d, &err);
	d->lost(d->ctx, &err);
	return NULL;
}

int demand_prepare(struct demand_server *d, struct page_source *pages,
		   struct channel *c,
		   void (*lost)(void *ctx, const struct error *why), void *ctx,
		   struct error *err)
{
	*d = (struct demand_server){ .pages = pages, .c = c, .lost = lost,
				     .ctx = ctx };
	return page_source_batch(pages, &d->batch)
		? error_set(err, ENOMEM, "out of memory for the demand thread")
		: 0;
}

int demand_start(struct demand_server *d, struct error *err)
{
	int rc = pthread_create(&d->thread, NULL, demand_main, d);

	if (rc)
		return error_set(err, rc, "cannot start the demand thread: %s",
				 strerrordesc_np(rc));
	pthread_setname_np(d->thread, "demand");
	d->started = true;
	return 0;
}

void demand_end(struct demand_server *d)
{
	if (d->started)
		pthread_join(d->thread, NULL);
	d->started = false;
	batch_fini(&d->batch);
}
