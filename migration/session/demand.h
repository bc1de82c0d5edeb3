/* SPDX-License-Identifier: MIT */
/*
 * demand.h - The source's thread that answers requests
 *
 * A vCPU waits for every answer, so nothing may delay it: a connection and a
 * thread of its own, one page in an answer, no lock shared with push threads. When
 * no further request waits, the thread sends a run of the pages around an answer
 * that the request asked for (answer_size.h), if the bandwidth limit allows them.
 * Then it looks for requests again.
 */
#ifndef FERRY_DEMAND_H
#define FERRY_DEMAND_H

#include <pthread.h>

#include "migration/link/channel.h"
#include "migration/pages/page_source.h"

#define DEMAND_RESTS	16	/* answers whose pages around are not sent yet */
#define DEMAND_BACKLOG	64	/* requests received at once */

/**
 * struct demand_rest - Pages that shall follow an answer
 * @at, @end:	the next ones
 * @first, @last: those to send then
 */
struct demand_rest {
	size_t at, end, first, last;
};

/**
 * struct demand_server - The thread and what it works on
 * @pages:	what it sends
 * @c:		the connection
 * @lost:	called by the thread when the connection ends, with @ctx
 * @batch:	buffers
 * @in:		requests, @have bytes of them
 * @rest:	a ring of pages to send when no request waits
 * @newest:	number of the last entry of @rest; entries up to DEMAND_RESTS
 *		before it are kept
 * @thread, @started: the thread, while there is one
 */
struct demand_server {
	struct page_source *pages;
	struct channel *c;
	void (*lost)(void *ctx, const struct error *why);
	void *ctx;
	struct batch batch;
	uint8_t in[DEMAND_BACKLOG * WIRE_HEADER];
	size_t have;
	struct demand_rest rest[DEMAND_RESTS];
	unsigned newest;
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
