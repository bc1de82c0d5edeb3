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
#define HELLO_RESUME	1u		/* bit of HELLO's flags */
#define REPORT_FLAGS	(WIRE_REPORT_END | WIRE_REPORT_COMMITTED | \
			 WIRE_REPORT_WHOLE)

/* What each type may carry. A PAGES payload must also match its count */
static const struct {
	const char *name;
	uint32_t min, max;
	bool has_pages;
} types[WIRE_MSG_TYPES] = {
	[WIRE_MSG_HELLO]	= { "HELLO", WIRE_HELLO_MIN, WIRE_HELLO_MAX, false },
	[WIRE_MSG_WELCOME]	= { "WELCOME", WIRE_HELLO_MIN, WIRE_HELLO_MAX, false },
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
	[WIRE_MSG_READY]	= { "READY", WIRE_READY, WIRE_READY, false },
	[WIRE_MSG_WRITTEN_LIST]	= { "WRITTEN_LIST", 4, WIRE_LIST_MAX, false },
	[WIRE_MSG_RESUME]	= { "RESUME", WIRE_RESUME, WIRE_RESUME, false },
	[WIRE_MSG_REPORT]	= { "REPORT", WIRE_REPORT_HEAD,
				    WIRE_REPORT_MAX, false },
	[WIRE_MSG_BEAT]		= { "BEAT", 0, 0, false },
	[WIRE_MSG_CHUNK_ACK]	= { "CHUNK_ACK", WIRE_CHUNK_ACK,
				    WIRE_CHUNK_ACK, false },
	[WIRE_MSG_CONFIRMED]	= { "CONFIRMED", 0, 0, false },
	[WIRE_MSG_ENDED]	= { "ENDED", 1, WIRE_TEXT_MAX, false },
	[WIRE_MSG_PASS]		= { "PASS", WIRE_PASS, WIRE_PASS, false },
	[WIRE_MSG_PASSED]	= { "PASSED", 0, 0, false },
	[WIRE_MSG_DISCARD]	= { "DISCARD", 4, WIRE_LIST_MAX, false },
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
	put_le(to + 24, m->before, 2);
	put_le(to + 26, m->after, 2);
	put_le(to + 28, 0, 4);
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
		.before = (uint16_t)get_le(from + 24, 2),
		.after = (uint16_t)get_le(from + 26, 2),
	};
	if (get_le(from + 6, 2) || get_le(from + 28, 4) ||
	    (type != WIRE_MSG_REQUEST && (m->before || m->after)))
		return error_set(err, EBADMSG,
			"the peer's %s message has reserved bits set",
			wire_name(m->type));
	if (m->before > WIRE_AROUND_MAX || m->after > WIRE_AROUND_MAX)
		return error_set(err, EBADMSG,
			"the peer's REQUEST message wants %u pages before and %u after, at most %u are allowed",
			m->before, m->after, WIRE_AROUND_MAX);
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
	put_le(to + 38, h->resume ? HELLO_RESUME : 0, 2);
	put_le(to + 40, h->epoch, 4);
	memcpy(to + 44, h->secret, WIRE_SECRET);
	memcpy(to + 60, h->binding, WIRE_BINDING);
}

/* Return: 0, -EBADMSG, -EPROTO */
static int check_hello(const uint8_t *from, uint32_t len,
		       struct wire_hello *h, struct error *err)
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
	/* Another version may have another length, so not before */
	return len == WIRE_HELLO ? 0 : error_set(err, EBADMSG,
		"the peer's greeting is %u bytes long, not %u", len,
		WIRE_HELLO);
}

int wire_get_hello(const uint8_t *from, uint32_t len, struct wire_hello *h,
		   struct error *err)
{
	int rc = check_hello(from, len, h, err);

	if (rc)
		return rc;
	h->features = (uint32_t)get_le(from + 12, 4);
	h->page_size = (uint32_t)get_le(from + 16, 4);
	memcpy(h->id, from + 20, WIRE_ID);
	h->push = (uint16_t)get_le(from + 36, 2);
	h->resume = get_le(from + 38, 2) & HELLO_RESUME;
	h->epoch = (uint32_t)get_le(from + 40, 4);
	memcpy(h->secret, from + 44, WIRE_SECRET);
	memcpy(h->binding, from + 60, WIRE_BINDING);
	return 0;
}

void wire_put_report(uint8_t *to, const struct wire_report *r)
{
	put_le(to, r->flags, 4);
	put_le(to + 4, r->n, 4);
}

int wire_get_report(const uint8_t *from, uint32_t len, struct wire_report *r,
		    struct error *err)
{
	r->flags = (unsigned)get_le(from, 4);
	r->n = (uint32_t)get_le(from + 4, 4);
	if (r->flags & ~REPORT_FLAGS)
		return error_set(err, EBADMSG,
			"the peer's REPORT has unknown flags 0x%x", r->flags);
	if (r->n > WIRE_REPORT_RUNS ||
	    len != WIRE_REPORT_HEAD + r->n * WIRE_REPORT_RUN)
		return error_set(err, EBADMSG,
			"the peer's REPORT has %u bytes for %u runs", len,
			r->n);
	/* Every message but the last makes progress, so a report ends */
	if (!r->n && !(r->flags & WIRE_REPORT_END))
		return error_set(err, EBADMSG,
			"the peer's REPORT is empty, and not the last");
	if (r->flags & WIRE_REPORT_WHOLE && (r->n ||
	    !(r->flags & WIRE_REPORT_END) ||
	    !(r->flags & WIRE_REPORT_COMMITTED)))
		return error_set(err, EBADMSG,
			"the peer's REPORT contradicts itself: every page is there, but flags 0x%x, %u runs",
			r->flags, r->n);
	return 0;
}

void wire_put_run(uint8_t *to, const struct wire_run *run)
{
	put_le(to, run->offset, 8);
	put_le(to + 8, run->pages, 8);
	to[16] = (uint8_t)run->kind;
}

int wire_get_run(const uint8_t *from, uint64_t pages, uint64_t *next,
		 struct wire_run *run, struct error *err)
{
	uint64_t page;

	run->offset = get_le(from, 8);
	run->pages = get_le(from + 8, 8);
	page = run->offset / WIRE_PAGE;
	if (run->offset % WIRE_PAGE || !run->pages || page > pages ||
	    run->pages > pages - page)
		return error_set(err, EBADMSG,
			"the peer's REPORT has a run that is not whole pages of RAM: %llu pages at offset 0x%llx",
			(unsigned long long)run->pages,
			(unsigned long long)run->offset);
	if (page < *next)
		return error_set(err, EBADMSG,
			"the peer's REPORT has a run at offset 0x%llx that does not ascend",
			(unsigned long long)run->offset);
	if (!from[16] || from[16] >= WIRE_RUN_KINDS)
		return error_set(err, EBADMSG,
			"the peer's REPORT has a run of unknown kind %u",
			from[16]);
	run->kind = (enum wire_run_kind)from[16];
	*next = page + run->pages;
	return 0;
}

void wire_put_ready(uint8_t *to, uint32_t unit)
{
	put_le(to, unit, WIRE_READY);
}

int wire_get_ready(const uint8_t *from, uint32_t *unit, struct error *err)
{
	*unit = (uint32_t)get_le(from, WIRE_READY);
	if (*unit == WIRE_PAGE || *unit == WIRE_HUGE)
		return 0;
	return error_set(err, EBADMSG,
		"the peer's READY message has pages of %u bytes", *unit);
}

void wire_put_count(uint8_t *to, uint64_t pages)
{
	put_le(to, pages, WIRE_CHUNK_ACK);
}

uint64_t wire_get_count(const uint8_t *from)
{
	return get_le(from, WIRE_CHUNK_ACK);
}

bool wire_same_secret(const uint8_t *a, const uint8_t *b)
{
	volatile uint8_t diff = 0;

	for (unsigned i = 0; i < WIRE_SECRET; i++)
		diff |= a[i] ^ b[i];
	return !diff;
}
