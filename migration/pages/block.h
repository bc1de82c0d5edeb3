/* SPDX-License-Identifier: MIT */
/*
 * block.h - 2 MiB that arrive as consecutive runs, to be moved into RAM at once
 *
 * A source sends a chunk of RAM of which it has sent nothing in ascending runs.
 * The thread that receives them collects the contents in a huge buffer, and
 * moves that into RAM when the block is complete. Pages that are collected count
 * as not received until then: they are not acknowledged, and a vCPU that needs
 * one asks for it. Anything else that arrives ends the collection, so do the end
 * of the connection and 50 ms: what is there is copied.
 */
#ifndef FERRY_BLOCK_H
#define FERRY_BLOCK_H

#include "page_store.h"
#include "vmm/memory/huge_buffer.h"

/**
 * struct block - What one connection's thread collects; all zeroes: nothing
 * @huge:	buffer of the contents
 * @first:	page that the buffer begins with, by offset in RAM
 * @n:		pages collected; less than a whole block
 */
struct block {
	struct huge_buffer huge;
	size_t first, n;
};

/**
 * block_init() - Nothing is collected
 * @b:		filled in
 * @s:		the store that is open
 *
 * Reserves addresses, and no memory. If that fails nothing is ever collected.
 */
void block_init(struct block *b, const struct page_store *s);

/** block_fini() - Free it; what was collected is dropped */
void block_fini(struct block *b);

/**
 * block_room() - Where to receive contents that can be collected
 * @b:		the block
 * @s:		the store
 * @msg:	header of a PAGES message, checked by wire_get()
 *
 * A run that begins a block begins a collection if nothing of the block is
 * there and no vCPU waits for a part of it; one that continues a collection
 * belongs to it.
 *
 * Return: room for @msg->length bytes: block_add() must follow; NULL: it does
 *	   not continue the collection, which block_flush() ends; or none
 *	   can begin with it
 */
uint8_t *block_room(struct block *b, const struct page_store *s,
		    const struct wire_msg *msg);

/**
 * block_add() - The contents are in the room
 * @b:		the block
 * @s:		the store
 * @msg:	as for block_room()
 * @err:	why not
 *
 * Places a block that is complete: by UFFDIO_MOVE, if still nothing of it is
 * there, else by copies (invariant 1).
 *
 * Return: 0, -errno, as page_store_message()
 */
int block_add(struct block *b, struct page_store *s,
	      const struct wire_msg *msg, struct error *err);

/**
 * block_flush() - The collection does not go on: place what is there by copies
 * @b:		the block; fine if nothing was collected
 * @s:		the store
 * @err:	why not
 *
 * Return: 0, -errno, as page_store_message()
 */
int block_flush(struct block *b, struct page_store *s, struct error *err);

#endif /* FERRY_BLOCK_H */
