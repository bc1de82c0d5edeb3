/* SPDX-License-Identifier: MIT */
/*
 * script.h - A peer of a session that does what an input says
 *
 * The input is one byte string for each connection, cut into records in the
 * order in which they are sent. The first byte of a record has the connection
 * (low three bits) and the operation (the rest, modulo SCRIPT_OPS):
 *
 *	SEND	length (2 bytes, little endian), bytes
 *	PAGES	count, value: (count % 64 + 1) * 4096 bytes of that value
 *	HEADER	type, page (2 bytes), count: the header of a message
 *	AWAIT	type: wait for a message of this type on this connection; 0:
 *		for any message. It is consumed: the next AWAIT wants another
 *	CLOSE	close the connection
 *	ACK	CHUNK_ACK with the number of pages that came on it
 *	PASS	bits: 2^(bits % 16) ms pass; all deadlines together are shorter
 *	OPERATE	command, page: what an operator tells the session to do
 *
 * A length or an operation is cut to what is left, so every input is a script.
 * What the session sends is read all the time.
 *
 * A wait ends when nothing has come for some milliseconds of the simulator's
 * time, in which only what waits takes any: then the session sends nothing more.
 * After a few waits that ended so, the peer does not wait again: each input
 * takes a limited time.
 */
#ifndef FERRY_TESTS_FUZZ_SCRIPT_H
#define FERRY_TESTS_FUZZ_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migration/wire/wire.h"
#include "vmm/base/bytes.h"
#include "vmm/base/uri.h"

#define SCRIPT_CONNECTIONS 8

/* Connections of a script: AGAIN is the main connection of a second link */
enum { SCRIPT_MAIN, SCRIPT_DEMAND, SCRIPT_PUSH, SCRIPT_AGAIN };

enum script_op {
	SCRIPT_SEND, SCRIPT_PAGES, SCRIPT_HEADER, SCRIPT_AWAIT, SCRIPT_CLOSE,
	SCRIPT_ACK, SCRIPT_PASS, SCRIPT_OPERATE, SCRIPT_OPS
};

/* POISON is ferry poison, LOSE the hardware; a source can be cancelled */
enum script_command {
	SCRIPT_CANCEL, SCRIPT_PAUSE, SCRIPT_RECONNECT, SCRIPT_RUN_HERE,
	SCRIPT_GIVE_UP, SCRIPT_POISON, SCRIPT_LOSE, SCRIPT_COMMANDS
};

/** script_operate_fn - Give the session a command; @page: of POISON, LOSE */
typedef void script_operate_fn(void *ctx, enum script_command command,
			       size_t page);

/**
 * struct script_connection - One connection to the session
 * @fd:		-1 if it is not open
 * @used:	was it ever open?
 * @types:	of the session's messages, one bit for each enum wire_type
 * @fresh:	of these, those that no AWAIT has consumed
 * @pages:	pages in its messages
 * @head, @got:	the header that is being received, and its bytes so far
 * @left:	bytes of payload that are still to come
 */
struct script_connection {
	int fd;
	bool used;
	uint64_t types, fresh, pages;
	uint8_t head[WIRE_HEADER];
	size_t got, left;
};

/**
 * struct script - The peer
 * @uri:	where it listens, or where the session does
 * @listener:	-1: it connects to the session
 * @c:		its connections; one that listens takes them as they come
 * @in_vain:	waits after which nothing had come
 * @passed:	ms that PASS records have taken
 * @operate, @ctx: executes OPERATE; set by the caller
 */
struct script {
	struct uri uri;
	int listener;
	struct script_connection c[SCRIPT_CONNECTIONS];
	unsigned in_vain, passed;
	script_operate_fn *operate;
	void *ctx;
};

/**
 * script_init() - Begin
 * @s:		filled in
 * @listen:	the session connects to this peer
 */
void script_init(struct script *s, bool listen);

/** script_play() - Do what an input says, then close all connections */
void script_play(struct script *s, const uint8_t *data, size_t size);

/** script_heard() - Has the session sent a message of this type? */
bool script_heard(const struct script *s, enum wire_type type);

/** script_fini() - Close the listener */
void script_fini(struct script *s);

/**
 * LLVMFuzzerCustomMutator() - Change a script by records; called by libFuzzer
 * @data:	the script, changed in place
 * @size:	bytes
 * @max:	room
 * @seed:	decides what is changed
 *
 * Return: the new size
 */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned seed);

/**
 * script_record() - The length of the first record
 * @data:	a script
 * @size:	bytes, at least one
 *
 * Return: bytes, at most @size
 */
size_t script_record(const uint8_t *data, size_t size);

/* ---- To write scripts ---- */

/** script_empty() - A message without a payload */
void script_empty(struct writer *w, unsigned connection, enum wire_type type);

/** script_message() - A message with a payload; NULL: @m->length zeroes */
void script_message(struct writer *w, unsigned connection,
		    const struct wire_msg *m, const void *payload);

/** script_pages() - PAGES, @n pages from number @page */
void script_pages(struct writer *w, unsigned connection, unsigned page,
		  unsigned n);

/** script_header() - A message without a payload */
void script_header(struct writer *w, unsigned connection, enum wire_type type,
		   unsigned page, unsigned n);

/** script_await() - Wait for a message of a type; 0: of any */
void script_await(struct writer *w, unsigned connection, unsigned type);

/** script_ack() - Acknowledge the pages that came when nothing more comes */
void script_ack(struct writer *w, unsigned connection);

/** script_close() - Close a connection */
void script_close(struct writer *w, unsigned connection);

/** script_pass() - 2^@bits ms pass */
void script_pass(struct writer *w, unsigned bits);

/** script_operate() - An operator's command */
void script_operate(struct writer *w, enum script_command command,
		    unsigned page);

/** script_put() - A finished script as a seed. Return: its length */
size_t script_put(struct writer *w, uint8_t *to);

#endif /* FERRY_TESTS_FUZZ_SCRIPT_H */
