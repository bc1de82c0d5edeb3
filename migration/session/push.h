/* SPDX-License-Identifier: MIT */
/*
 * push.h - The source's threads that send pages unasked
 *
 * Each has a connection of its own; all are equal. They take chunks from one
 * lock-free cursor. A single stream would leave a core idle on either side
 * while the other end copies.
 *
 * A thread remembers what it has sent until the destination acknowledges it
 * (CHUNK_ACK). When its connection fails, that returns to the ledger, and the
 * other threads send it: so none of them ends before everything that was sent
 * is acknowledged, on all connections.
 */
#ifndef FERRY_PUSH_H
#define FERRY_PUSH_H

#include <pthread.h>

#include "migration/link/channel.h"
#include "migration/pages/page_source.h"
#include "start_gate.h"

struct push_group;

/**
 * struct pusher - A push connection and its thread
 * @group:	its group
 * @c:		the connection, the session's
 * @batch:	buffers
 * @unacked:	what was sent and not acknowledged
 * @sent:	pages sent on this connection
 * @idle:	the destination knows that nothing follows at once
 * @moved:	when something was sent or acknowledged last, ns
 * @in:		the next CHUNK_ACK, @have bytes of it
 * @thread, @started: the thread, while there is one
 */
struct pusher {
	struct push_group *group;
	struct channel *c;
	struct batch batch;
	struct unacked unacked;
	uint64_t sent, moved;
	uint8_t in[WIRE_HEADER + WIRE_CHUNK_ACK];
	size_t have;
	bool idle;
	pthread_t thread;
	bool started;
};

/**
 * struct push_group - All push threads of a source
 * @pages:	what they send
 * @pusher:	the threads, @n of them
 * @n:		set by the session before push_prepare(), with each @c
 * @gate:	where they wait until push_start()
 * @running:	threads that have not ended
 * @lost:	called by a thread whose connection fails, with @ctx. @last: its
 *		pages are left, and no other thread can send them
 * @ended:	called by the last thread that ends, with @ctx
 */
struct push_group {
	struct page_source *pages;
	struct pusher pusher[WIRE_PUSH_MAX];
	_Atomic unsigned n;
	struct start_gate gate;
	_Atomic unsigned running;
	void (*lost)(void *ctx, bool last, const struct error *why);
	void (*ended)(void *ctx);
	void *ctx;
};

/** push_init() - A group without threads and connections */
void push_init(struct push_group *g, struct page_source *pages,
	       void (*lost)(void *ctx, bool last, const struct error *why),
	       void (*ended)(void *ctx), void *ctx);

/** push_fini() - Free it, after push_end() */
void push_fini(struct push_group *g);

/**
 * push_prepare() - Allocate all and create the threads, which wait
 * @g:		the group; its connections are open
 * @err:	why not
 *
 * To be called before the point of no return, or before a new link is used.
 *
 * Return: 0, -errno; push_end() is needed in any case
 */
int push_prepare(struct push_group *g, struct error *err);

/**
 * push_start() - Begin to push, after a pause
 * @g:		the group, prepared
 *
 * A guest that has just been started requests page after page. Pushed pages would
 * precede each answer in the host's queues, and use the cores of a small host. So
 * the push begins when no request has come for 1 ms, at the latest after 5 ms. On
 * two cores this reduced the median blackout from 4.5 to 2.9 ms (24 runs each, in
 * turns).
 */
void push_start(struct push_group *g);

/**
 * push_end() - Wait for the threads
 * @g:		the group
 *
 * A thread ends when every page was sent and acknowledged, having sent DONE on
 * its connection; or because its connection failed; or at once if push_start()
 * was not called.
 *
 * Return: true if every page was sent, and acknowledged if it was pushed
 */
bool push_end(struct push_group *g);

/**
 * push_batch() - Send a batch, and count it
 * @p:		the pages
 * @b:		from batch_fill()
 * @c:		connection
 * @kind:	as page_source_sent()
 * @err:	why not
 *
 * Return: as channel_sendv()
 */
int push_batch(struct page_source *p, struct batch *b, struct channel *c,
	       enum page_count kind, struct error *err);

#endif /* FERRY_PUSH_H */
