// SPDX-License-Identifier: MIT
/* outbox.c - REQUEST messages that wait until the socket takes them */

#include <string.h>

#include "outbox.h"

size_t outbox_room(const struct outbox *o)
{
	return (sizeof(o->data) - (o->to - o->from)) / WIRE_HEADER;
}

void outbox_request(struct outbox *o, uint64_t gpa, size_t n,
		    struct around around)
{
	const struct wire_msg m = {
		.type = WIRE_MSG_REQUEST, .a = gpa, .b = n,
		.before = around.before, .after = around.after,
	};

	if (sizeof(o->data) - o->to < WIRE_HEADER) {
		memmove(o->data, o->data + o->from, o->to - o->from);
		o->to -= o->from;
		o->from = 0;
	}
	wire_put(o->data + o->to, &m);
	o->to += WIRE_HEADER;
}

const uint8_t *outbox_pending(const struct outbox *o, size_t *n)
{
	*n = o->to - o->from;
	return o->data + o->from;
}

void outbox_sent(struct outbox *o, size_t n)
{
	o->from += n;
	if (o->from == o->to)
		o->from = o->to = 0;
}
