// SPDX-License-Identifier: MIT
/* wire.c - Encoder and decoder of the migration protocol */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "vmm/base/page.h"
#include "wire.h"

static_assert(WIRE_PAGE == GUEST_PAGE_SIZE, "a guest page is a page here");

static const uint8_t hello_magic[8] = { 'F', 'e', 'r', 'r', 'y', 0, 0, 1 };

#define PAGES_LIMIT	(1ull << 34)	/* pages in any message: 64 TiB */

/* What each type may carry. A PAGES payload must also match its count */
static const struct {
	const char *name;
	uint32_t min, max;
	bool has_pages;
} types[WIRE_MSG_TYPES] = {
	[WIRE_MSG_HELLO]	= { "HELLO", WIRE_HELLO, WIRE_HELLO, false },
	[WIRE_MSG_WELCOME]	= { "WELCOME", WIRE_HELLO, WIRE_HELLO, false },
	[WIRE_MSG_REFUSE]	= { "REFUSE", 1, WIRE_TEXT_MAX, false },
	[WIRE_MSG_DESCRIPTION]	= { "DESCRIPTION", 1, 40u << 10, false },
	[WIRE_MSG_BUILT]	= { "BUILT", 0, 0, false },
	[WIRE_MSG_STATE]	= { "STATE", 1, WIRE_STATE_MAX, false },
	[WIRE_MSG_POISON_LIST]	= { "POISON_LIST", 4, WIRE_LIST_MAX, false },
	[WIRE_MSG_ZERO_LIST]	= { "ZERO_LIST", 4, WIRE_LIST_MAX, false },
	[WIRE_MSG_PREPARE]	= { "PREPARE", 0, 0, false },
	[WIRE_MSG_PREPARED]	= { "PREPARED", 0, 0, false },
	[WIRE_MSG_COMMIT]	= { "COMMIT", 0, 0, false },
	[WIRE_MSG_RUNNING]	= { "RUNNING", 0, 0, false },
	[WIRE_MSG_PAGES]	= { "PAGES", WIRE_PAGE,
				    WIRE_RUN_PAGES * WIRE_PAGE, true },
	[WIRE_MSG_ZERO]		= { "ZERO", 0, 0, true },
	[WIRE_MSG_POISON]	= { "POISON", 0, 0, true },
	[WIRE_MSG_REQUEST]	= { "REQUEST", 0, 0, true },
	[WIRE_MSG_DONE]		= { "DONE", 0, 0, false },
	[WIRE_MSG_COMPLETE]	= { "COMPLETE", 4, 64u << 10, false },
	[WIRE_MSG_BOOT]		= { "BOOT", WIRE_BOOT, WIRE_BOOT, false },
	[WIRE_MSG_IMAGE]	= { "IMAGE", 1, WIRE_IMAGE_MAX, false },
	[WIRE_MSG_READY]	= { "READY", 0, 0, false },
	[WIRE_MSG_WRITTEN_LIST]	= { "WRITTEN_LIST", 4, WIRE_LIST_MAX, false },
};

static void put_le(uint8_t *to, uint64_t v, unsigned size)
{
	for (unsigned i = 0; i < size; i++, v >>= 8)
		to[i] = (uint8_t)v;
}

static uint64_t get_le(const uint8_t *from, unsigned size)
{
	uint64_t v = 0;

	while (size--)
		v = v << 8 | from[size];
	return v;
}

const char *wire_name(enum wire_type type)
{
	return type > 0 && type < WIRE_MSG_TYPES ? types[type].name : "?";
}

void wire_put(uint8_t *to, const struct wire_msg *m)
{
	put_le(to, m->length, 4);
	put_le(to + 4, m->type, 2);
	put_le(to + 6, 0, 2);
	put_le(to + 8, m->a, 8);
	put_le(to + 16, m->b, 8);
	put_le(to + 24, 0, 8);
}

static int check_pages(const struct wire_msg *m, struct error *err)
{
	if (!types[m->type].has_pages)
		return m->a || m->b ? error_set(err, EBADMSG,
			"the peer's %s message names pages",
			wire_name(m->type)) : 0;
	if (m->a % WIRE_PAGE || !m->b || m->b > PAGES_LIMIT ||
	    m->a + m->b * WIRE_PAGE < m->a)
		return error_set(err, EBADMSG,
			"the peer's %s message has an impossible range: %llu pages at 0x%llx",
			wire_name(m->type), (unsigned long long)m->b,
			(unsigned long long)m->a);
	if (m->type == WIRE_MSG_PAGES && m->length != m->b * WIRE_PAGE)
		return error_set(err, EBADMSG,
			"the peer's PAGES message has %u bytes for %llu pages",
			m->length, (unsigned long long)m->b);
	return 0;
}

int wire_get(const uint8_t *from, struct wire_msg *m, struct error *err)
{
	unsigned type = (unsigned)get_le(from + 4, 2);

	if (!type || type >= WIRE_MSG_TYPES)
		return error_set(err, EBADMSG,
			"the peer sent a message of unknown type %u (is it a Ferry?)",
			type);
	*m = (struct wire_msg){
		.type = (enum wire_type)type,
		.length = (uint32_t)get_le(from, 4),
		.a = get_le(from + 8, 8), .b = get_le(from + 16, 8),
	};
	if (get_le(from + 6, 2) || get_le(from + 24, 8))
		return error_set(err, EBADMSG,
			"the peer's %s message has reserved bits set",
			wire_name(m->type));
	if (m->length < types[type].min || m->length > types[type].max)
		return error_set(err, EBADMSG,
			"the peer's %s message is %u bytes long, not %u to %u",
			wire_name(m->type), m->length, types[type].min,
			types[type].max);
	return check_pages(m, err);
}

void wire_put_hello(uint8_t *to, const struct wire_hello *h)
{
	memset(to, 0, WIRE_HELLO);
	memcpy(to, hello_magic, sizeof(hello_magic));
	put_le(to + 8, h->version, 2);
	put_le(to + 10, h->role, 2);
	put_le(to + 12, h->features, 4);
	put_le(to + 16, h->page_size, 4);
	memcpy(to + 20, h->id, WIRE_ID);
	put_le(to + 36, h->push, 2);
}

int wire_get_hello(const uint8_t *from, struct wire_hello *h,
		   struct error *err)
{
	unsigned role = (unsigned)get_le(from + 10, 2);

	if (memcmp(from, hello_magic, sizeof(hello_magic)))
		return error_set(err, EBADMSG, "the peer is not a Ferry");
	h->version = (uint16_t)get_le(from + 8, 2);
	if (h->version != WIRE_VERSION)
		return error_set(err, EPROTO,
			"the peer speaks version %u of the protocol, this is version %u: use the same Ferry on both sides",
			h->version, WIRE_VERSION);
	if (role >= WIRE_ROLES)
		return error_set(err, EBADMSG,
				 "the peer asks for connection kind %u", role);
	h->role = (enum wire_role)role;
	h->features = (uint32_t)get_le(from + 12, 4);
	h->page_size = (uint32_t)get_le(from + 16, 4);
	memcpy(h->id, from + 20, WIRE_ID);
	h->push = (uint16_t)get_le(from + 36, 2);
	return 0;
}
