// SPDX-License-Identifier: MIT
/* demand.c - The source's thread that answers requests */

#include <errno.h>
#include <string.h>

#include "demand.h"
#include "priority.h"
#include "push.h"
#include "vmm/base/clock.h"

/*
 * A page that was pushed is sent again: it may still stand behind megabytes in
 * a push connection, and the destination drops the second copy. If it can't be
 * read any more, nothing is sent: what is under way is right, whether contents
 * or poison.
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
	d->ahead = page + m->b;
	d->ahead_n = readahead_pages(&d->readahead, page + m->b - 1);
	cursor_fault(&p->cursor, page);
	return n < 0 ? (int)n : 0;
}

/* Not if the bandwidth limit would hold it back: this thread never sleeps */
static int send_readahead(struct demand_server *d, struct error *err)
{
	struct page_source *p = d->pages;
	const uint64_t now = now_ns();
	size_t n = 0;
	int rc;

	if (d->ahead_n && d->ahead < p->ledger.n &&
	    !pacer_wait_ns(&p->pacer, now))
		n = ledger_take(&p->ledger, d->ahead, d->ahead_n);
	d->ahead_n = 0;
	if (!n)
		return 0;
	rc = batch_fill(&d->batch, d->ahead, n, err);
	if (rc)
		return rc;
	pacer_spend(&p->pacer, now, d->batch.bytes);
	return push_batch(p, &d->batch, d->c, COUNT_PUSH, err);
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
		int rc;

		if (n < 0)
			return (int)n;
		if (!n) {
			rc = send_readahead(d, err);
			idle = true;
		} else {
			d->have += (size_t)n;
			rc = answer_all(d, err);
			idle = false;
		}
		if (rc)
			return rc;
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
