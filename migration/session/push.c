// SPDX-License-Identifier: MIT
/* push.c - The source's threads that send pages unasked */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "priority.h"
#include "push.h"
#include "vmm/base/clock.h"

#define QUIET_NS	1000000	/* the guest's first burst of faults is over */
#define HEAD_START_NS	5000000	/* some guests never pause for QUIET_NS */
#define LOOK_MS		1	/* nothing to send now: look again */

void push_init(struct push_group *g, struct page_source *pages,
	       void (*lost)(void *ctx, bool last, const struct error *why),
	       void (*ended)(void *ctx), void *ctx)
{
	*g = (struct push_group){ .pages = pages, .lost = lost,
				  .ended = ended, .ctx = ctx };
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

/* The pages are remembered before anything can fail: none may get lost */
static int push_run(struct page_source *p, struct pusher *me, size_t first,
		    size_t n, struct error *err)
{
	int rc;

	me->idle = false;
	me->sent += n;
	me->moved = now_ns();
	unacked_add(&me->unacked, first, n, me->sent);
	rc = batch_fill(&me->batch, first, n, err);
	if (rc)
		return rc;
	pacer_spend(&p->pacer, me->moved, me->batch.bytes);
	rc = channel_sendv(me->c, me->batch.iov, me->batch.iovs, err);
	/* Counted even so: page_source_lost() counts what comes back */
	page_source_sent(p, &me->batch, COUNT_PUSH);
	return rc;
}

static int take_ack(struct pusher *me, struct error *err)
{
	uint64_t pages = wire_get_count(me->in + WIRE_HEADER);
	struct wire_msg m;
	int rc = wire_get(me->in, &m, err);

	me->have = 0;
	me->moved = now_ns();
	if (!rc && m.type != WIRE_MSG_CHUNK_ACK)
		rc = error_set(err, EBADMSG,
			"the peer sent %s on a push connection",
			wire_name(m.type));
	if (!rc && unacked_acknowledge(&me->unacked, pages))
		rc = error_set(err, EBADMSG,
			"the peer acknowledged %llu pages of %llu",
			(unsigned long long)pages,
			(unsigned long long)me->sent);
	return rc;
}

/* Take the acknowledgements that have arrived; wait for none */
static int take_acks(struct pusher *me, struct error *err)
{
	for (;;) {
		long n = channel_recv_some(me->c, me->in + me->have,
					   sizeof(me->in) - me->have, false,
					   err);
		int rc;

		if (n <= 0)
			return (int)n;
		me->have += (size_t)n;
		if (me->have < sizeof(me->in))
			continue;
		rc = take_ack(me, err);
		if (rc)
			return rc;
	}
}

/* Has a thread sent what the destination may not have received? */
static bool any_unacked(const struct push_group *g)
{
	for (unsigned i = 0; i < g->n; i++)
		if (unacked_any(&g->pusher[i].unacked))
			return true;
	return false;
}

/*
 * Pages that other threads have sent may return to the ledger, so it is looked
 * at again. A thread that ends too early is no loss: pusher_leave() sees
 * what is left when the last one ends.
 */
static bool all_pushed(const struct push_group *g)
{
	return !ledger_left(&g->pages->ledger) && !any_unacked(g) &&
	       !ledger_left(&g->pages->ledger);
}

/*
 * The destination may be collecting a block whose rest another thread has sent:
 * it shall not wait for that, because this side waits for the acknowledgement
 */
static int say_idle(struct pusher *me, struct error *err)
{
	const struct wire_msg beat = { .type = WIRE_MSG_BEAT };

	if (me->idle || !unacked_any(&me->unacked))
		return 0;
	me->idle = true;
	return channel_say(me->c, &beat, NULL, err);
}

/* Until an acknowledgement comes, or for a short while */
static int await_ack(struct pusher *me, struct error *err)
{
	struct pollfd p = { .fd = channel_poll_fd(me->c), .events = POLLIN };
	const uint64_t silence = me->c->silence_ms * NS_PER_MS;
	int rc = say_idle(me, err);

	if (rc)
		return rc;
	poll(&p, 1, channel_poll_ms(me->c, LOOK_MS));
	if (!silence || !unacked_any(&me->unacked) ||
	    now_ns() - me->moved < silence)
		return 0;
	return error_set(err, ETIMEDOUT,
		"the destination has acknowledged no page for %u s",
		me->c->silence_ms / 1000);
}

/* Until every page was sent by this or another thread, and acknowledged */
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
		rc = take_acks(me, err);
		n = rc || unacked_full(&me->unacked) ? 0
			: cursor_take(&p->cursor, &p->ledger, &chunk, &first);
		if (rc)
			;
		else if (n)
			rc = push_run(p, me, first, n, err);
		else if (all_pushed(me->group))
			break;
		else
			rc = await_ack(me, err);
	}
	return rc;
}

/* What was sent and not acknowledged is the other threads' work now */
static void pusher_leave(struct pusher *me, int rc, const struct error *why)
{
	struct push_group *g = me->group;
	unsigned others;

	if (rc) {
		channel_shut(me->c);
		page_source_lost(g->pages, &me->unacked);
	}
	others = atomic_fetch_sub(&g->running, 1) - 1;
	if (rc)
		g->lost(g->ctx, !others && ledger_left(&g->pages->ledger), why);
	if (!others)
		g->ended(g->ctx);
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
	pusher_leave(me, rc, &err);
	return NULL;
}

static int pusher_prepare(struct pusher *me)
{
	int rc = page_source_batch(me->group->pages, &me->batch);

	if (!rc)
		rc = unacked_init(&me->unacked);
	me->sent = 0;
	me->have = 0;
	me->idle = false;
	return rc ? -rc : pthread_create(&me->thread, NULL, pusher_main, me);
}

int push_prepare(struct push_group *g, struct error *err)
{
	start_gate_set(&g->gate, START_WAIT);
	for (unsigned i = 0; i < g->n; i++) {
		struct pusher *me = &g->pusher[i];
		int rc = pusher_prepare(me);

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
	g->running = g->n;
	start_gate_set(&g->gate, START_GO);
}

bool push_end(struct push_group *g)
{
	bool all = g->gate.state == START_GO;

	if (g->gate.state == START_WAIT)
		start_gate_set(&g->gate, START_QUIT);
	for (unsigned i = 0; i < g->n; i++) {
		struct pusher *me = &g->pusher[i];

		if (me->started)
			pthread_join(me->thread, NULL);
		me->started = false;
		batch_fini(&me->batch);
	}
	all = all && all_pushed(g);
	for (unsigned i = 0; i < g->n; i++)
		unacked_fini(&g->pusher[i].unacked);
	return all;
}
