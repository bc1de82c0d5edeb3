// SPDX-License-Identifier: MIT
/* receive.c - The destination's threads that receive pushed pages */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "priority.h"
#include "receive.h"
#include "vmm/base/clock.h"

#define ACK_PAGES	CHUNK_PAGES
/*
 * A source that cannot read a page any more relies on the copy that it has
 * pushed: a vCPU that needs it waits for the end of the collection
 */
#define COLLECT_MS	50

void receive_init(struct receive_group *g, struct page_store *store,
		  void (*lost)(void *ctx, bool last, const struct error *why),
		  void (*ended)(void *ctx), void *ctx)
{
	*g = (struct receive_group){ .store = store, .lost = lost,
				     .ended = ended, .ctx = ctx,
				     .collect_ms = COLLECT_MS };
	for (unsigned i = 0; i < WIRE_PUSH_MAX; i++)
		g->receiver[i].group = g;
	start_gate_init(&g->gate);
}

void receive_fini(struct receive_group *g)
{
	start_gate_fini(&g->gate);
}

uint8_t *receive_buffer(void)
{
	uint8_t *data = malloc(WIRE_RUN_PAGES * WIRE_PAGE);

	/* The pages of the buffer, too, are allocated now */
	if (data)
		memset(data, 1, WIRE_RUN_PAGES * WIRE_PAGE);
	return data;
}

/* Pages that can be acknowledged */
static uint64_t placed(const struct receiver *me)
{
	return me->pages - me->block.n;
}

static int say_ack(struct receiver *me, struct error *err)
{
	const struct wire_msg m = { .type = WIRE_MSG_CHUNK_ACK,
				    .length = WIRE_CHUNK_ACK };
	uint8_t count[WIRE_CHUNK_ACK];

	if (me->acked == placed(me))
		return 0;
	me->acked = placed(me);
	wire_put_count(count, me->acked);
	return channel_say(me->c, &m, count, err);
}

static int flush_block(struct receiver *me, struct error *err)
{
	return block_flush(&me->block, me->group->store, err);
}

/* How long the block may still be collected. Return: ms, 0: no longer */
static int collect_ms(const struct receiver *me)
{
	const uint64_t ms = (now_ns() - me->began) / 1000000;

	return ms < me->group->collect_ms ? (int)(me->group->collect_ms - ms)
					  : 0;
}

/* Nothing is here. Wait for the rest of a block as long as it may be collected */
static int await_rest(struct receiver *me, struct error *err)
{
	struct pollfd p = { .fd = channel_poll_fd(me->c), .events = POLLIN };

	if (!me->block.n ||
	    poll(&p, 1, channel_poll_ms(me->c, collect_ms(me))))
		return 0;
	return flush_block(me, err);
}

/* The next header. Acknowledge before waiting: the source may wait for that */
static int hear_next(struct receiver *me, struct wire_msg *m,
		     struct error *err)
{
	uint8_t header[WIRE_HEADER];
	long n = channel_recv_some(me->c, header, sizeof(header), false, err);
	int rc = n < 0 ? (int)n : 0;

	if (!n)
		rc = say_ack(me, err);
	if (!n && !rc)
		rc = await_rest(me, err);
	if (!n && !rc)
		rc = say_ack(me, err);
	if (!rc)
		rc = channel_recv(me->c, header + n, sizeof(header) - (size_t)n,
				  err);
	return rc ? rc : wire_get(header, m, err);
}

/* The rest of a message that carries pages */
static int receive_message(struct receiver *me, const struct wire_msg *m,
			   struct error *err)
{
	struct page_store *store = me->group->store;
	uint8_t *room = NULL;
	int rc = 0;

	if (!me->block.n || collect_ms(me))
		room = block_room(&me->block, store, m);
	if (!room && me->block.n) {
		rc = flush_block(me, err);
		room = rc ? NULL : block_room(&me->block, store, m);
	}
	if (!me->block.n)
		me->began = now_ns();
	if (!rc && m->type == WIRE_MSG_PAGES)
		rc = channel_recv(me->c, room ? room : me->data, m->length,
				  err);
	if (!rc)
		rc = room ? block_add(&me->block, store, m, err)
			  : page_store_message(store, m, me->data, false,
					       err);
	me->pages += m->b;
	return rc;
}

/* Until DONE */
static int receive_pages(struct receiver *me, struct error *err)
{
	struct wire_msg m;
	int rc;

	do {
		rc = hear_next(me, &m, err);
		if (rc || m.type == WIRE_MSG_DONE)
			break;
		/* Nothing follows at once: all that is here is to be placed */
		rc = m.type == WIRE_MSG_BEAT
			? flush_block(me, err)
			: receive_message(me, &m, err);
		if (!rc && placed(me) - me->acked >= ACK_PAGES)
			rc = say_ack(me, err);
	} while (!rc);
	return rc;
}

/*
 * The connection is lost: what has arrived is placed. Its failure is no other
 * one than that of the connection
 */
static void keep_collected(struct receiver *me)
{
	struct error err = { 0 };

	flush_block(me, &err);
}

static void receiver_leave(struct receive_group *g, int rc,
			   const struct error *why)
{
	unsigned others;

	if (!rc)
		g->done++;
	others = atomic_fetch_sub(&g->running, 1) - 1;
	if (rc)
		g->lost(g->ctx, !others && !g->done, why);
	if (!others)
		g->ended(g->ctx);
}

static void *receiver_main(void *arg)
{
	struct receiver *me = arg;
	struct error err = { 0 };
	int rc;

	if (!start_gate_wait(&me->group->gate))
		return NULL;
	/* Not before: a thread with a long slice is the last to be woken */
	priority_bulk();
	rc = receive_pages(me, &err);
	/* The source must not wait for acknowledgements until its deadline */
	if (rc)
		channel_shut(me->c);
	keep_collected(me);
	receiver_leave(me->group, rc, &err);
	return NULL;
}

/* Return: 0, errno */
static int receiver_prepare(struct receiver *me)
{
	me->pages = me->acked = 0;
	block_init(&me->block, me->group->store);
	me->data = receive_buffer();
	return me->data ? pthread_create(&me->thread, NULL, receiver_main, me)
			: ENOMEM;
}

int receive_prepare(struct receive_group *g, struct error *err)
{
	start_gate_set(&g->gate, START_WAIT);
	g->done = 0;
	for (unsigned i = 0; i < g->n; i++) {
		struct receiver *me = &g->receiver[i];
		int rc = receiver_prepare(me);

		if (rc)
			return error_set(err, rc,
				"cannot start a receive thread: %s",
				strerrordesc_np(rc));
		me->started = true;
		pthread_setname_np(me->thread, "receiver");
	}
	return 0;
}

void receive_start(struct receive_group *g)
{
	g->running = g->n;
	start_gate_set(&g->gate, START_GO);
}

bool receive_end(struct receive_group *g)
{
	if (g->gate.state == START_WAIT)
		start_gate_set(&g->gate, START_QUIT);
	for (unsigned i = 0; i < g->n; i++) {
		struct receiver *me = &g->receiver[i];

		if (me->started)
			pthread_join(me->thread, NULL);
		me->started = false;
		free(me->data);
		me->data = NULL;
		block_fini(&me->block);
	}
	return g->done > 0;
}
