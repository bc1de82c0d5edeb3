// SPDX-License-Identifier: MIT
/* push.c - The source's threads that send pages unasked */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "priority.h"
#include "push.h"
#include "vmm/base/clock.h"

#define QUIET_NS	1000000	/* the guest's first burst of faults is over */
#define HEAD_START_NS	5000000	/* some guests never pause for QUIET_NS */
#define HELD_US		100	/* a page is being poisoned: look again */

void push_init(struct push_group *g, struct page_source *pages,
	       void (*lost)(void *ctx, const struct error *why), void *ctx)
{
	*g = (struct push_group){ .pages = pages, .lost = lost, .ctx = ctx };
	for (unsigned i = 0; i < WIRE_PUSH_MAX; i++)
		g->pusher[i].group = g;
	start_gate_init(&g->gate);
}

void push_fini(struct push_group *g)
{
	start_gate_fini(&g->gate);
}

int push_batch(struct page_source *p, struct batch *b, struct channel *c,
	       enum page_count kind, struct error *err)
{
	int rc = channel_sendv(c, b->iov, b->iovs, err);

	if (!rc)
		page_source_sent(p, b, kind);
	return rc;
}

static int push_run(struct page_source *p, struct pusher *me, size_t first,
		    size_t n, struct error *err)
{
	int rc = batch_fill(&me->batch, first, n, err);

	if (rc)
		return rc;
	pacer_spend(&p->pacer, now_ns(), me->batch.bytes);
	return push_batch(p, &me->batch, me->c, COUNT_PUSH, err);
}

/* Until every page was taken by this or another thread */
static int push_pages(struct pusher *me, struct error *err)
{
	struct page_source *p = me->group->pages;
	struct cursor_chunk chunk = { 0 };
	int rc = 0;

	while (!rc) {
		size_t first, n;

		page_source_throttle(p);
		if (p->stop)
			return error_set(err, ECANCELED, "the push was ended");
		n = cursor_take(&p->cursor, &p->ledger, &chunk, &first);
		if (n)
			rc = push_run(p, me, first, n, err);
		else if (!ledger_left(&p->ledger))
			break;
		else
			usleep(HELD_US);
	}
	return rc;
}

static void *pusher_main(void *arg)
{
	const struct wire_msg done = { .type = WIRE_MSG_DONE };
	struct pusher *me = arg;
	struct error err = { 0 };
	int rc;

	if (!start_gate_wait(&me->group->gate))
		return NULL;
	/* Not before: a thread with a long slice is the last to be woken */
	priority_bulk();
	rc = push_pages(me, &err);
	if (!rc)
		rc = channel_say(me->c, &done, NULL, &err);
	if (rc)
		me->group->lost(me->group->ctx, &err);
	return rc ? NULL : me;
}

int push_prepare(struct push_group *g, struct error *err)
{
	start_gate_set(&g->gate, START_WAIT);
	for (unsigned i = 0; i < g->n; i++) {
		struct pusher *me = &g->pusher[i];
		int rc = page_source_batch(g->pages, &me->batch) ? ENOMEM
			 : pthread_create(&me->thread, NULL, pusher_main, me);

		if (rc)
			return error_set(err, rc,
				"cannot start a push thread: %s",
				strerrordesc_np(rc));
		me->started = true;
		pthread_setname_np(me->thread, "push");
	}
	return 0;
}

static void head_start(const struct page_source *p)
{
	const uint64_t start = now_ns();

	for (;;) {
		/* In this order, so that @asked is not later than @now */
		uint64_t asked = p->asked, now = now_ns();

		if (p->stop || now - start >= HEAD_START_NS ||
		    now - (asked > start ? asked : start) > QUIET_NS)
			return;
		usleep(QUIET_NS / 1000 / 5);
	}
}

void push_start(struct push_group *g)
{
	head_start(g->pages);
	start_gate_set(&g->gate, START_GO);
}

bool push_end(struct push_group *g)
{
	bool all = true;

	if (g->gate.state == START_WAIT)
		start_gate_set(&g->gate, START_QUIT);
	for (unsigned i = 0; i < g->n; i++) {
		struct pusher *me = &g->pusher[i];
		void *done = NULL;

		if (me->started)
			pthread_join(me->thread, &done);
		all &= done != NULL;
		me->started = false;
		batch_fini(&me->batch);
	}
	return all;
}
