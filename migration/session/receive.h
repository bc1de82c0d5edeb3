/* SPDX-License-Identifier: MIT */
/*
 * receive.h - The destination's threads that receive pushed pages
 *
 * Each reads its own connection and places what arrives. Reading and placing
 * take about the same time, so one thread alone would get half of either. It
 * acknowledges what it has placed, after 2 MiB at the latest, and before it
 * waits (CHUNK_ACK): so a lost connection costs only what it carried.
 */
#ifndef FERRY_RECEIVE_H
#define FERRY_RECEIVE_H

#include <pthread.h>

#include "migration/link/channel.h"
#include "migration/pages/block.h"
#include "migration/pages/page_store.h"
#include "start_gate.h"

struct receive_group;

/**
 * struct receiver - A push connection and its thread
 * @group:	its group
 * @c:		the connection, the session's
 * @data:	buffer of one message's pages
 * @block:	what is collected to be moved into RAM
 * @began:	when that began, ns
 * @pages:	received on this connection, also those in @block
 * @acked:	of these, acknowledged
 * @thread, @started: the thread, while there is one
 */
struct receiver {
	struct receive_group *group;
	struct channel *c;
	uint8_t *data;
	struct block block;
	uint64_t began, pages, acked;
	pthread_t thread;
	bool started;
};

/**
 * struct receive_group - All receive threads of a destination
 * @store:	where pages go
 * @receiver:	the threads, @n of them
 * @n:		set by the session before receive_prepare(), with each @c
 * @gate:	where they wait until receive_start()
 * @running:	threads that have not ended
 * @done:	threads that have received DONE
 * @collect_ms:	a block is collected no longer than that
 * @lost:	called by a thread whose connection fails, with @ctx. @last: no
 *		other thread receives, and none has received DONE
 * @ended:	called by the last thread that ends, with @ctx
 */
struct receive_group {
	struct page_store *store;
	struct receiver receiver[WIRE_PUSH_MAX];
	_Atomic unsigned n;
	struct start_gate gate;
	_Atomic unsigned running, done;
	unsigned collect_ms;
	void (*lost)(void *ctx, bool last, const struct error *why);
	void (*ended)(void *ctx);
	void *ctx;
};

/** receive_init() - A group without threads and connections */
void receive_init(struct receive_group *g, struct page_store *store,
		  void (*lost)(void *ctx, bool last, const struct error *why),
		  void (*ended)(void *ctx), void *ctx);

/** receive_fini() - Free it, after receive_end() */
void receive_fini(struct receive_group *g);

/**
 * receive_prepare() - Allocate all and create the threads, which wait
 * @g:		the group; its connections are open
 * @err:	why not
 *
 * To be called before PREPARED is sent.
 *
 * Return: 0, -errno; receive_end() is needed in any case
 */
int receive_prepare(struct receive_group *g, struct error *err);

/** receive_start() - Begin to receive */
void receive_start(struct receive_group *g);

/**
 * receive_end() - Wait for the threads
 * @g:		the group
 *
 * A thread ends at DONE; because its connection failed or was shut; or at once
 * if receive_start() was not called.
 *
 * Return: true if a thread has received DONE: the source sends it on each
 *	   connection that it still has, when all was acknowledged
 */
bool receive_end(struct receive_group *g);

/** receive_buffer() - A buffer for one message's pages; NULL if out of memory */
uint8_t *receive_buffer(void);

#endif /* FERRY_RECEIVE_H */
