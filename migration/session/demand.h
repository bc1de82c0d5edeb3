/* SPDX-License-Identifier: MIT */
/*
 * demand.h - The source's thread that answers requests
 *
 * A vCPU waits for every answer, so nothing stands before it: a connection and
 * a thread of its own, one page in an answer, no lock shared with push
 * threads. Only when no further request waits does it send pages after the
 * last one, if the guest seems to walk that way (readahead.h), and if the
 * bandwidth limit allows them.
 */
#ifndef FERRY_DEMAND_H
#define FERRY_DEMAND_H

#include <pthread.h>

#include "migration/link/channel.h"
#include "migration/pages/page_source.h"
#include "migration/pages/readahead.h"

#define DEMAND_BACKLOG	64	/* requests received at once */

/**
 * struct demand_server - The thread and what it works on
 * @pages:	what it sends
 * @c:		the connection
 * @lost:	called by the thread when the connection ends, with @ctx
 * @batch:	buffers
 * @readahead:	how the guest walks
 * @in:		requests, @have bytes of them
 * @ahead, @ahead_n: pages to send when no request waits
 * @thread, @started: the thread, while there is one
 */
struct demand_server {
	struct page_source *pages;
	struct channel *c;
	void (*lost)(void *ctx, const struct error *why);
	void *ctx;
	struct batch batch;
	struct readahead readahead;
	uint8_t in[DEMAND_BACKLOG * WIRE_HEADER];
	size_t have;
	size_t ahead, ahead_n;
	pthread_t thread;
	bool started;
};

/**
 * demand_prepare() - Allocate all that the thread needs
 * @d:		filled in
 * @pages:	what it sends
 * @c:		the connection
 * @lost:	called by the thread when the connection ends; with an error
 *		that is always set
 * @ctx:	for @lost
 * @err:	why not
 *
 * Return: 0, -ENOMEM
 */
int demand_prepare(struct demand_server *d, struct page_source *pages,
		   struct channel *c,
		   void (*lost)(void *ctx, const struct error *why), void *ctx,
		   struct error *err);

/**
 * demand_start() - Create the thread; RAM does not change any more
 * @d:		the server, prepared
 * @err:	why not
 *
 * Return: 0, -errno
 */
int demand_start(struct demand_server *d, struct error *err);

/** demand_end() - Wait for the thread, whose connection was shut; free all */
void demand_end(struct demand_server *d);

#endif /* FERRY_DEMAND_H */
