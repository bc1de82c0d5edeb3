/* SPDX-License-Identifier: MIT */
/*
 * outbox.h - REQUEST messages that wait until the socket takes them (pure)
 *
 * The fault thread is the only reader of the answers, so it must never block
 * in sending: it appends requests here, and sends what the socket takes. While
 * there is no room for the requests of another fault, it reads none.
 */
#ifndef FERRY_OUTBOX_H
#define FERRY_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer_size.h"
#include "migration/wire/wire.h"

/* For one fault on a huge page: pages in turns missing and there */
#define OUTBOX_FAULT_MAX	256u
#define OUTBOX_MAX		(8 * OUTBOX_FAULT_MAX)

/**
 * struct outbox - A queue of encoded messages; zeroed at the start
 * @data:	the messages
 * @from:	first byte that was not sent
 * @to:		byte after the last
 */
struct outbox {
	uint8_t data[OUTBOX_MAX * WIRE_HEADER];
	size_t from, to;
};

/** outbox_room() - Messages that can be appended */
size_t outbox_room(const struct outbox *o);

/**
 * outbox_request() - Append a REQUEST
 * @o:		the outbox, with room
 * @gpa:	first page
 * @n:		pages, at most WIRE_RUN_PAGES
 * @around:	pages that shall follow the answer
 */
void outbox_request(struct outbox *o, uint64_t gpa, size_t n,
		    struct around around);

/**
 * outbox_pending() - Bytes to send
 * @o:		the outbox
 * @n:		set to how many
 *
 * Return: where they are
 */
const uint8_t *outbox_pending(const struct outbox *o, size_t *n);

/** outbox_sent() - That many of the pending bytes were sent */
void outbox_sent(struct outbox *o, size_t n);

#endif /* FERRY_OUTBOX_H */
