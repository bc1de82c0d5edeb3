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
 *		24	zero, 64 bits
 */
#ifndef FERRY_WIRE_H
#define FERRY_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/error.h"

#define WIRE_VERSION		3
#define WIRE_HEADER		32
#define WIRE_ID			16
#define WIRE_HELLO		44
#define WIRE_PAGE		4096
#define WIRE_RUN_PAGES		64		/* in one PAGES message */
#define WIRE_STATE_MAX		(64u << 20)
#define WIRE_LIST_MAX		(16u << 20)
#define WIRE_TEXT_MAX		399
#define WIRE_BOOT		16
#define WIRE_IMAGE_MAX		(256u << 10)

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
	WIRE_MSG_REQUEST,	/* a: gpa, b: pages */
	WIRE_MSG_DONE,		/* every page was sent */
	WIRE_MSG_COMPLETE,	/* every page is in place; statistics */
	WIRE_MSG_BOOT,		/* sizes of kernel and initrd, 64 bits each */
	WIRE_MSG_IMAGE,		/* their bytes, kernel first */
	WIRE_MSG_READY,		/* all is done that need not be done later */
	WIRE_MSG_WRITTEN_LIST,	/* ZERO_LIST's pages that were written since */
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
 */
struct wire_msg {
	enum wire_type type;
	uint32_t length;
	uint64_t a, b;
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
 */
struct wire_hello {
	uint16_t version;
	enum wire_role role;
	uint32_t features, page_size;
	uint16_t push;
	uint8_t id[WIRE_ID];
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
 * @from:	WIRE_HELLO bytes from the peer
 * @h:		filled in
 * @err:	what is wrong; for another version, which
 *
 * Return: 0, -EBADMSG (no Ferry), -EPROTO (another version)
 */
int wire_get_hello(const uint8_t *from, struct wire_hello *h,
		   struct error *err);

#endif /* FERRY_WIRE_H */
