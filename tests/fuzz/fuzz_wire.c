// SPDX-License-Identifier: MIT
/*
 * fuzz_wire.c - Whatever a peer sends as headers and hellos
 *
 * The input is a stream of messages, as a receiver would take it apart. What
 * is accepted must be encodable to the same bytes, and be safe to use: its
 * length within its type's limits, its pages aligned and not wrapping.
 */

#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "migration/wire/wire.h"

static void check_message(const uint8_t *head, const struct wire_msg *m)
{
	uint8_t again[WIRE_HEADER];

	CHECK(m->type > 0 && m->type < WIRE_MSG_TYPES);
	CHECK(m->length <= WIRE_STATE_MAX);
	CHECK(m->a % WIRE_PAGE == 0);
	CHECK(m->a + m->b * WIRE_PAGE >= m->a);
	CHECK(m->b <= UINT64_MAX / WIRE_PAGE);
	if (m->type == WIRE_MSG_PAGES)
		CHECK(m->b && m->b <= WIRE_RUN_PAGES &&
		      m->length == m->b * WIRE_PAGE);
	CHECK(strcmp(wire_name(m->type), "?"));
	wire_put(again, m);
	CHECK(!memcmp(head, again, sizeof(again)));
}

static void check_hello(const uint8_t *p, uint32_t len)
{
	struct error err = { 0 };
	uint8_t again[WIRE_HELLO];
	struct wire_hello h;
	int rc = wire_get_hello(p, len, &h, &err);

	CHECK(!rc || ((rc == -EBADMSG || rc == -EPROTO) && err.text[0]));
	if (rc)
		return;
	CHECK(h.version == WIRE_VERSION && h.role < WIRE_ROLES);
	wire_put_hello(again, &h);
	/* All but one bit of the flags is ignored */
	CHECK(!memcmp(p, again, 38) && (p[38] & 1) == again[38]);
	CHECK(!memcmp(p + 40, again + 40, WIRE_HELLO - 40));
}

static void check_report(const uint8_t *p, uint32_t len)
{
	struct error err = { 0 };
	struct wire_report r;
	uint64_t next = 0, before = 0;

	if (wire_get_report(p, len, &r, &err)) {
		CHECK(err.code == EBADMSG && err.text[0]);
		return;
	}
	CHECK(len == WIRE_REPORT_HEAD + r.n * WIRE_REPORT_RUN);
	for (uint32_t i = 0; i < r.n; i++, before = next) {
		struct wire_run run;

		if (wire_get_run(p + WIRE_REPORT_HEAD + i * WIRE_REPORT_RUN,
				 1u << 20, &next, &run, &err))
			return;
		CHECK(run.offset / WIRE_PAGE >= before && next > before);
		CHECK(next == run.offset / WIRE_PAGE + run.pages);
		CHECK(next <= 1u << 20);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	while (size >= WIRE_HEADER) {
		struct error err = { 0 };
		struct wire_msg m;
		int rc = wire_get(data, &m, &err);

		CHECK(!rc || (rc == -EBADMSG && err.text[0]));
		if (rc)
			return 0;
		check_message(data, &m);
		data += WIRE_HEADER;
		size -= WIRE_HEADER;
		if (m.length > size)
			return 0;
		if (m.type == WIRE_MSG_HELLO || m.type == WIRE_MSG_WELCOME)
			check_hello(data, m.length);
		if (m.type == WIRE_MSG_REPORT)
			check_report(data, m.length);
		data += m.length;
		size -= m.length;
	}
	return 0;
}

static size_t add(uint8_t *to, enum wire_type type, uint32_t length,
		  uint64_t a, uint64_t b)
{
	const struct wire_msg m = {
		.type = type, .length = length, .a = a, .b = b,
		.before = type == WIRE_MSG_REQUEST ? 7 : 0,
		.after = type == WIRE_MSG_REQUEST ? 504 : 0,
	};

	wire_put(to, &m);
	memset(to + WIRE_HEADER, 0x5a, length);
	return WIRE_HEADER + length;
}

static size_t add_hello(uint8_t *to, enum wire_type type, enum wire_role role)
{
	const struct wire_hello h = {
		.version = WIRE_VERSION, .role = role,
		.features = WIRE_POISON, .page_size = 4096, .id = "ferry",
	};
	size_t n = add(to, type, WIRE_HELLO, 0, 0);

	wire_put_hello(to + WIRE_HEADER, &h);
	return n;
}

size_t fuzz_seed(unsigned i, uint8_t *to)
{
	size_t n = 0;

	switch (i) {
	case 0:
		n += add_hello(to, WIRE_MSG_HELLO, WIRE_MAIN);
		n += add(to + n, WIRE_MSG_DESCRIPTION, 100, 0, 0);
		n += add(to + n, WIRE_MSG_ZERO_LIST, 20, 0, 0);
		n += add(to + n, WIRE_MSG_PASS, WIRE_PASS, 0, 0);
		n += add(to + n, WIRE_MSG_STATE, 200, 0, 0);
		n += add(to + n, WIRE_MSG_WRITTEN_LIST, 36, 0, 0);
		n += add(to + n, WIRE_MSG_DISCARD, 20, 0, 0);
		n += add(to + n, WIRE_MSG_POISON_LIST, 21, 0, 0);
		n += add(to + n, WIRE_MSG_PREPARE, 0, 0, 0);
		n += add(to + n, WIRE_MSG_COMMIT, 0, 0, 0);
		return n;
	case 1:
		n += add_hello(to, WIRE_MSG_WELCOME, WIRE_DEMAND);
		n += add(to + n, WIRE_MSG_REQUEST, 0, 0x100000000, 1);
		n += add(to + n, WIRE_MSG_PAGES, 4096, 0x100000000, 1);
		n += add(to + n, WIRE_MSG_ZERO, 0, 0x5000, 512);
		n += add(to + n, WIRE_MSG_POISON, 0, 0x3000, 1);
		n += add(to + n, WIRE_MSG_DONE, 0, 0, 0);
		return n;
	case 2:
		n += add(to, WIRE_MSG_BUILT, 0, 0, 0);
		n += add(to + n, WIRE_MSG_READY, WIRE_READY, 0, 0);
		n += add(to + n, WIRE_MSG_PASSED, 0, 0, 0);
		n += add(to + n, WIRE_MSG_PREPARED, 0, 0, 0);
		n += add(to + n, WIRE_MSG_RUNNING, 0, 0, 0);
		n += add(to + n, WIRE_MSG_COMPLETE, 84, 0, 0);
		n += add(to + n, WIRE_MSG_REFUSE, 30, 0, 0);
		return n;
	default:
		return 0;
	}
}
