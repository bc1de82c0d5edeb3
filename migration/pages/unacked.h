/* SPDX-License-Identifier: MIT */
/*
 * unacked.h - Pages that a push connection has sent and the destination has
 * not acknowledged (pure)
 *
 * If the connection is lost, its pages return to the ledger, and the other
 * push threads send them.
 *
 * A ring of entries. An entry has the pages of one aligned chunk that
 * share a running number; the destination acknowledges a number, and with it
 * all lower ones. What is numbered is the caller's choice. The push thread
 * adds, and one thread (the same or another) acknowledges: the entry is written
 * before @tail passes it, and is not touched by the push thread again until
 * @head has passed it, except for @bits, which the other thread does not read.
 */
#ifndef FERRY_UNACKED_H
#define FERRY_UNACKED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger.h"

/* Entries: 1 GiB if each is full. A TCP connection holds some MiB */
#define UNACKED_MAX	512u

/**
 * struct unacked_entry - Pages of one chunk
 * @chunk:	the chunk's first page
 * @number:	what acknowledges them
 * @bits:	the pages
 */
struct unacked_entry {
	size_t chunk;
	uint64_t number;
	uint64_t bits[CHUNK_PAGES / 64];
};

/**
 * struct unacked - The ring
 * @entry:	UNACKED_MAX of them
 * @head:	entries below were acknowledged; the acknowledging thread's
 * @tail:	entries below were added; the push thread's
 * @number:	the highest number added
 * @acked:	the highest number acknowledged; the acknowledging thread's
 */
struct unacked {
	struct unacked_entry *entry;
	_Atomic uint64_t head, tail, number;
	uint64_t acked;
};

/**
 * unacked_init() - An empty ring
 * @u:		filled in
 *
 * Return: 0, -ENOMEM
 */
int unacked_init(struct unacked *u);

/** unacked_fini() - Free it; fine on one that is all zeroes */
void unacked_fini(struct unacked *u);

/**
 * unacked_add() - Pages are about to be sent; the push thread only
 * @u:		the ring
 * @first:	first page
 * @n:		pages, at most CHUNK_PAGES
 * @number:	what acknowledges them: at least 1, not below the last one, and
 *		not one that the destination may have acknowledged already
 *
 * To be called before the pages are sent, so that a failed send loses none.
 *
 * Return: true; false if the ring has no room: wait for an acknowledgement
 */
bool unacked_add(struct unacked *u, size_t first, size_t n, uint64_t number);

/** unacked_full() - Would unacked_add() fail? The push thread only */
bool unacked_full(const struct unacked *u);

/**
 * unacked_acknowledge() - The destination has received all up to a number
 * @u:		the ring
 * @number:	not trusted
 *
 * Return: 0, -EBADMSG: a number that was not sent, or that is below the last
 */
int unacked_acknowledge(struct unacked *u, uint64_t number);

/** unacked_any() - Is something not acknowledged? Any thread */
bool unacked_any(const struct unacked *u);

/**
 * unacked_give_back() - The connection is lost: its pages were not sent
 * @u:		the ring, which no thread uses; it is empty afterwards
 * @l:		where they go
 *
 * Return: pages that can be taken again
 */
size_t unacked_give_back(struct unacked *u, struct ledger *l);

#endif /* FERRY_UNACKED_H */
