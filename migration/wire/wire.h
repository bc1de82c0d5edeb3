/* SPDX-License-Identifier: MIT */
/*
 * wire.h - Encoder and decoder of the migration protocol (pure)
 *
 * Every message is a header of 32 bytes and a payload. All numbers are
 * little endian and unsigned. docs/protocol.md is the specification.
 *
 *	offset	0	length of the payload, 32 bits
 *		4	type, 16 bits
 *		6	zero, 16 bits
 *		8	a, 64 bits	gpa, where a message has one
 *		16	b, 64 bits	number of pages, where it has one
 *		24	before, 16 bits	REQUEST: pages to send before it, else zero
 *		26	after, 16 bits	REQUEST: pages to send after it, else zero
 *		28	zero, 32 bits
 */
#ifndef FERRY_WIRE_H
#define FERRY_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/error.h"

#define WIRE_VERSION		5
#define WIRE_HEADER		32
#define WIRE_ID			16
#define WIRE_SECRET		16
#define WIRE_BINDING		32
#define WIRE_HELLO		92
#define WIRE_HELLO_MIN		44		/* of versions 1 to 3 */
#define WIRE_HELLO_MAX		256		/* of versions to come */
#define WIRE_PAGE		4096
#define WIRE_HUGE		(2u << 20)	/* a huge page */
#define WIRE_RUN_PAGES		64		/* in one PAGES message */
#define WIRE_AROUND_MAX		511		/* REQUEST's before, after */
#define WIRE_STATE_MAX		(64u << 20)
#define WIRE_LIST_MAX		(16u << 20)
#define WIRE_TEXT_MAX		399
#define WIRE_BOOT		16
#define WIRE_IMAGE_MAX		(256u << 10)
#define WIRE_REPORT_HEAD	8
#define WIRE_REPORT_RUN		17
#define WIRE_REPORT_RUNS	32768u		/* in one REPORT message */
#define WIRE_REPORT_MAX		(WIRE_REPORT_HEAD + \
				 WIRE_REPORT_RUNS * WIRE_REPORT_RUN)
#define WIRE_RESUME		1
#define WIRE_CHUNK_ACK		8
#define WIRE_READY		4
#define WIRE_PASS		1

/* Features; each side sends those that it has */
#define WIRE_POISON		1u		/* UFFDIO_POISON */

enum wire_type {
	WIRE_MSG_HELLO = 1,	/* first on each connection */
	WIRE_MSG_WELCOME,	/* the answer to HELLO */
	WIRE_MSG_REFUSE,	/* the session ends: reason, as text */
	WIRE_MSG_DESCRIPTION,	/* flattened device tree */
	WIRE_MSG_BUILT,		/* the machine is built, its RAM registered */
	WIRE_MSG_STATE,		/* all state but RAM */
	WIRE_MSG_POISON_LIST,	/* pages known to be lost */
	WIRE_MSG_ZERO_LIST,	/* ranges that were never written */
	WIRE_MSG_PREPARE,	/* all that is needed to run was sent */
	WIRE_MSG_PREPARED,	/* loaded; will run after COMMIT, not before */
	WIRE_MSG_COMMIT,	/* the source never runs the guest again */
	WIRE_MSG_RUNNING,	/* the destination runs the guest */
	WIRE_MSG_PAGES,		/* a: gpa, b: pages, payload: contents */
	WIRE_MSG_ZERO,		/* a: gpa, b: pages */
	WIRE_MSG_POISON,	/* a: gpa, b: pages */
	WIRE_MSG_REQUEST,	/* a: gpa, b: pages; before, after */
	WIRE_MSG_DONE,		/* every page was sent */
	WIRE_MSG_COMPLETE,	/* every page is in place; statistics */
	WIRE_MSG_BOOT,		/* sizes of kernel and initrd, 64 bits each */
	WIRE_MSG_IMAGE,		/* their bytes, kernel first */
	WIRE_MSG_READY,		/* all is done that need not be done later */
	WIRE_MSG_WRITTEN_LIST,	/* ZERO_LIST's pages that were written since */
	WIRE_MSG_RESUME,	/* a new link: what the source knows */
	WIRE_MSG_REPORT,	/* what the destination has */
	WIRE_MSG_BEAT,		/* the sender is alive */
	WIRE_MSG_CHUNK_ACK,	/* pages that came on this push connection */
	WIRE_MSG_CONFIRMED,	/* the source has received COMPLETE */
	WIRE_MSG_ENDED,		/* the guest ended at the destination: text */
	WIRE_MSG_PASS,		/* a precopy pass was sent, or none follows */
	WIRE_MSG_PASSED,	/* all of the pass is placed */
	WIRE_MSG_DISCARD,	/* ranges whose copies are out of date */
	WIRE_MSG_TYPES
};

enum wire_role { WIRE_MAIN, WIRE_DEMAND, WIRE_PUSH, WIRE_ROLES };

/* Push connections that a destination takes at most */
#define WIRE_PUSH_MAX		8

/**
 * struct wire_msg - A message's header
 * @type:	enum wire_type
 * @length:	bytes of payload
 * @a:		gpa, else 0
 * @b:		pages, else 0
 * @before, @after: REQUEST: pages around @a that shall follow the answer, else 0
 */
struct wire_msg {
	enum wire_type type;
	uint32_t length;
	uint64_t a, b;
	uint16_t before, after;
};

/**
 * enum wire_report_flag - Flags of REPORT
 * @WIRE_REPORT_END: the last REPORT message of this link
 * @WIRE_REPORT_COMMITTED: COMMIT was received: the guest is the destination's
 * @WIRE_REPORT_WHOLE: every page is there; no runs follow
 */
enum wire_report_flag {
	WIRE_REPORT_END		= 1,
	WIRE_REPORT_COMMITTED	= 2,
	WIRE_REPORT_WHOLE	= 4,
};

/**
 * enum wire_run_kind - What a destination has of a run of pages
 * @WIRE_RUN_PRESENT: contents are in place
 * @WIRE_RUN_ZERO: known to be zeroes
 * @WIRE_RUN_POISONED: lost
 * @WIRE_RUN_STAGED: contents have arrived, and wait for the rest of their huge
 *	page
 */
enum wire_run_kind {
	WIRE_RUN_PRESENT = 1, WIRE_RUN_ZERO, WIRE_RUN_POISONED,
	WIRE_RUN_STAGED, WIRE_RUN_KINDS
};

/**
 * struct wire_run - A run in REPORT
 * @offset:	into RAM, bytes, a multiple of WIRE_PAGE
 * @pages:	how many, at least one
 * @kind:	what they are
 */
struct wire_run {
	uint64_t offset, pages;
	enum wire_run_kind kind;
};

/**
 * struct wire_report - The head of a REPORT message
 * @flags:	WIRE_REPORT_… bits
 * @n:		runs that follow
 */
struct wire_report {
	unsigned flags;
	uint32_t n;
};

/**
 * struct wire_hello - Payload of HELLO and WELCOME
 * @version:	of the protocol
 * @role:	which connection this is
 * @features:	WIRE_… bits
 * @page_size:	of the sender's RAM, bytes
 * @push:	on main: push connections that the source wants to open, and in
 *		the answer how many the destination accepts
 * @id:		of the session, the same on all its connections
 * @resume:	on main: this connection begins a new link of a session that the
 *		destination knows
 * @epoch:	of the link: 1 for the first of a session, then ascending
 * @secret:	of the session: made by the source, the same on all connections
 * @binding:	ties the connection to its TLS channel; zeroes without TLS
 */
struct wire_hello {
	uint16_t version;
	enum wire_role role;
	uint32_t features, page_size;
	uint16_t push;
	uint8_t id[WIRE_ID];
	bool resume;
	uint32_t epoch;
	uint8_t secret[WIRE_SECRET];
	uint8_t binding[WIRE_BINDING];
};

/**
 * wire_put() - Encode a header
 * @to:		WIRE_HEADER bytes
 * @m:		the header
 */
void wire_put(uint8_t *to, const struct wire_msg *m);

/**
 * wire_get() - Decode and check a header
 * @from:	WIRE_HEADER bytes from the peer
 * @m:		filled in
 * @err:	what is wrong with it
 *
 * Checks type, reserved fields, and that length, a and b are possible for the
 * type: after it, @m->length can be allocated, and a PAGES payload has @m->b
 * pages.
 *
 * Return: 0, -EBADMSG
 */
int wire_get(const uint8_t *from, struct wire_msg *m, struct error *err);

/** wire_name() - "HELLO" and so on; "?" for no type */
const char *wire_name(enum wire_type type);

/**
 * wire_put_hello() - Encode the payload of HELLO and WELCOME
 * @to:		WIRE_HELLO bytes
 * @h:		what to say
 */
void wire_put_hello(uint8_t *to, const struct wire_hello *h);

/**
 * wire_get_hello() - Decode and check it
 * @from:	the payload of a HELLO or WELCOME from the peer
 * @len:	its length, at least WIRE_HELLO_MIN
 * @h:		filled in
 * @err:	what is wrong; for another version, which
 *
 * Return: 0, -EBADMSG (no Ferry), -EPROTO (another version)
 */
int wire_get_hello(const uint8_t *from, uint32_t len, struct wire_hello *h,
		   struct error *err);

/**
 * wire_put_report() - Encode the head of a REPORT
 * @to:		WIRE_REPORT_HEAD bytes
 * @r:		the head
 */
void wire_put_report(uint8_t *to, const struct wire_report *r);

/**
 * wire_get_report() - Decode and check the head of a REPORT
 * @from:	the payload of a REPORT from the peer
 * @len:	its length, at least WIRE_REPORT_HEAD
 * @r:		filled in: @r->n runs of WIRE_REPORT_RUN bytes follow the head
 * @err:	what is wrong
 *
 * Return: 0, -EBADMSG
 */
int wire_get_report(const uint8_t *from, uint32_t len, struct wire_report *r,
		    struct error *err);

/**
 * wire_put_run() - Encode a run of a REPORT
 * @to:		WIRE_REPORT_RUN bytes
 * @run:	the run
 */
void wire_put_run(uint8_t *to, const struct wire_run *run);

/**
 * wire_get_run() - Decode and check a run of a REPORT
 * @from:	WIRE_REPORT_RUN bytes from the peer
 * @pages:	of RAM
 * @next:	lowest offset that the run may have, in pages; set to the first
 *		page after the run. Zero before the first run of a link
 * @run:	filled in: whole pages, inside RAM, above all former runs
 * @err:	what is wrong
 *
 * Return: 0, -EBADMSG
 */
int wire_get_run(const uint8_t *from, uint64_t pages, uint64_t *next,
		 struct wire_run *run, struct error *err);

/** wire_put_ready() - Encode the payload of READY: WIRE_READY bytes */
void wire_put_ready(uint8_t *to, uint32_t unit);

/**
 * wire_get_ready() - Decode and check the payload of READY
 * @from:	WIRE_READY bytes from the peer
 * @unit:	filled in: bytes of the smallest piece of RAM that can be missing at
 *		the destination: WIRE_PAGE or WIRE_HUGE
 * @err:	what is wrong
 *
 * Return: 0, -EBADMSG
 */
int wire_get_ready(const uint8_t *from, uint32_t *unit, struct error *err);

/** wire_put_count() - Encode the payload of CHUNK_ACK: WIRE_CHUNK_ACK bytes */
void wire_put_count(uint8_t *to, uint64_t pages);

/** wire_get_count() - Decode the payload of CHUNK_ACK */
uint64_t wire_get_count(const uint8_t *from);

/**
 * wire_same_secret() - Are two secrets the same?
 *
 * Takes the same time wherever they differ, so that a peer that guesses learns
 * nothing from the time of the answer.
 */
bool wire_same_secret(const uint8_t *a, const uint8_t *b);

#endif /* FERRY_WIRE_H */
