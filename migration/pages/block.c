// SPDX-License-Identifier: MIT
/* block.c - 2 MiB that arrive as consecutive runs, to be moved into RAM at once */

#include "block.h"

void block_init(struct block *b, const struct page_store *s)
{
	*b = (struct block){ 0 };
	if (page_store_can_move(s))
		huge_buffer_init(&b->huge, s->ram->pagemap);
}

void block_fini(struct block *b)
{
	huge_buffer_fini(&b->huge);
	b->n = 0;
}

/* Return: the buffer, if a block that begins with this run can be moved */
static uint8_t *begin(struct block *b, const struct page_store *s,
		      const struct wire_msg *msg)
{
	return page_store_takes_block(s, msg->a, &b->first)
		? huge_buffer_get(&b->huge) : NULL;
}

uint8_t *block_room(struct block *b, const struct page_store *s,
		    const struct wire_msg *msg)
{
	uint64_t next;

	if (msg->type != WIRE_MSG_PAGES)
		return NULL;
	if (!b->n)
		return begin(b, s, msg);
	next = ram_gpa(s->ram, (b->first + b->n) * WIRE_PAGE);
	return msg->a == next && msg->b <= CHUNK_PAGES - b->n
		? b->huge.data + b->n * WIRE_PAGE : NULL;
}

int block_add(struct block *b, struct page_store *s,
	      const struct wire_msg *msg, struct error *err)
{
	page_store_received(s, msg, false);
	b->n += msg->b;
	if (b->n < CHUNK_PAGES)
		return 0;
	b->n = 0;
	return page_store_block(s, b->first, &b->huge, err);
}

int block_flush(struct block *b, struct page_store *s, struct error *err)
{
	const size_t n = b->n;

	b->n = 0;
	return n ? page_store_contents(s, b->first, b->huge.data, n, err) : 0;
}
