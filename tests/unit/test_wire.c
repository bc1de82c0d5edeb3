// SPDX-License-Identifier: MIT
/* test_wire.c - Every message type, every limit, round trips and garbage */

#include "unit.h"

#include "migration/wire/wire.h"
#include "vmm/base/units.h"

/* docs/protocol.md's table, written down a second time */
static const struct {
	enum wire_type type;
	const char *name;
	uint32_t min, max;
	bool pages;
} table[] = {
	{ WIRE_MSG_HELLO, "HELLO", 44, 256, false },
	{ WIRE_MSG_WELCOME, "WELCOME", 44, 256, false },
	{ WIRE_MSG_REFUSE, "REFUSE", 1, 399, false },
	{ WIRE_MSG_DESCRIPTION, "DESCRIPTION", 1, 40960, false },
	{ WIRE_MSG_BUILT, "BUILT", 0, 0, false },
	{ WIRE_MSG_STATE, "STATE", 1, 64 << 20, false },
	{ WIRE_MSG_POISON_LIST, "POISON_LIST", 4, 16 << 20, false },
	{ WIRE_MSG_ZERO_LIST, "ZERO_LIST", 4, 16 << 20, false },
	{ WIRE_MSG_PREPARE, "PREPARE", 0, 0, false },
	{ WIRE_MSG_PREPARED, "PREPARED", 0, 0, false },
	{ WIRE_MSG_COMMIT, "COMMIT", 0, 0, false },
	{ WIRE_MSG_RUNNING, "RUNNING", 0, 0, false },
	{ WIRE_MSG_PAGES, "PAGES", 4096, 64 * 4096, true },
	{ WIRE_MSG_ZERO, "ZERO", 0, 0, true },
	{ WIRE_MSG_POISON, "POISON", 0, 0, true },
	{ WIRE_MSG_REQUEST, "REQUEST", 0, 0, true },
	{ WIRE_MSG_DONE, "DONE", 0, 0, false },
	{ WIRE_MSG_COMPLETE, "COMPLETE", 4, 65536, false },
	{ WIRE_MSG_BOOT, "BOOT", 16, 16, false },
	{ WIRE_MSG_IMAGE, "IMAGE", 1, 262144, false },
	{ WIRE_MSG_READY, "READY", 4, 4, false },
	{ WIRE_MSG_WRITTEN_LIST, "WRITTEN_LIST", 4, 16 << 20, false },
	{ WIRE_MSG_RESUME, "RESUME", 1, 1, false },
	{ WIRE_MSG_REPORT, "REPORT", 8, 8 + 32768 * 17, false },
	{ WIRE_MSG_BEAT, "BEAT", 0, 0, false },
	{ WIRE_MSG_CHUNK_ACK, "CHUNK_ACK", 8, 8, false },
	{ WIRE_MSG_CONFIRMED, "CONFIRMED", 0, 0, false },
	{ WIRE_MSG_ENDED, "ENDED", 1, 399, false },
	{ WIRE_MSG_PASS, "PASS", 1, 1, false },
	{ WIRE_MSG_PASSED, "PASSED", 0, 0, false },
	{ WIRE_MSG_DISCARD, "DISCARD", 4, 16 << 20, false },
};

#define TYPES (sizeof(table) / sizeof(table[0]))

static struct wire_msg good(size_t i, uint32_t length)
{
	return (struct wire_msg){
		.type = table[i].type, .length = length,
		.a = table[i].pages ? 0x100000000 : 0,
		.b = table[i].type == WIRE_MSG_PAGES ? length / 4096 :
		     table[i].pages,
	};
}

static int send_it(const struct wire_msg *m, struct wire_msg *got,
		   struct error *err)
{
	uint8_t head[WIRE_HEADER];

	*err = (struct error){ 0 };
	wire_put(head, m);
	return wire_get(head, got, err);
}

static void check_good(const struct wire_msg *m)
{
	struct error err;
	struct wire_msg got;

	if (send_it(m, &got, &err))
		fail_msg("%s refused: %s", wire_name(m->type), err.text);
	assert_int_equal(got.type, m->type);
	assert_int_equal(got.length, m->length);
	assert_true(got.a == m->a && got.b == m->b);
	assert_true(got.before == m->before && got.after == m->after);
}

static void check_bad(const struct wire_msg *m, const char *words)
{
	struct error err;
	struct wire_msg got;

	assert_refused(send_it(m, &got, &err), EBADMSG, err, words);
}

static void all_types_are_here(void **state)
{
	(void)state;
	assert_int_equal(TYPES + 1, WIRE_MSG_TYPES);
	for (size_t i = 0; i < TYPES; i++)
		assert_string_equal(wire_name(table[i].type), table[i].name);
	assert_string_equal(wire_name(0), "?");
	assert_string_equal(wire_name(WIRE_MSG_TYPES), "?");
}

static void layout_is_fixed(void **state)
{
	static const uint8_t want[WIRE_HEADER] = {
		0, 0x20, 0, 0, 13, 0, 0, 0,
		0, 0x30, 0, 0, 1, 0, 0, 0, 2,
	};
	const struct wire_msg m = {
		.type = WIRE_MSG_PAGES, .length = 0x2000,
		.a = 0x100003000, .b = 2,
	};
	uint8_t head[WIRE_HEADER];

	(void)state;
	memset(head, 0xff, sizeof(head));
	wire_put(head, &m);
	assert_memory_equal(head, want, sizeof(want));
}

static void shortest_and_longest(void **state)
{
	(void)state;
	for (size_t i = 0; i < TYPES; i++) {
		struct wire_msg m = good(i, table[i].min);

		check_good(&m);
		m = good(i, table[i].max);
		check_good(&m);
		m.length = table[i].max + 1;
		check_bad(&m, table[i].name);
		m.length = UINT32_MAX;
		check_bad(&m, table[i].name);
		if (table[i].min) {
			m = good(i, table[i].min);
			m.length--;
			check_bad(&m, table[i].name);
			m.length = 0;
			check_bad(&m, table[i].name);
		}
	}
}

static void only_some_name_pages(void **state)
{
	(void)state;
	for (size_t i = 0; i < TYPES; i++) {
		struct wire_msg m = good(i, table[i].min);

		if (table[i].pages) {
			m.b = 0;
			check_bad(&m, "impossible range");
			m = good(i, table[i].min);
			m.a++;
			check_bad(&m, "impossible range");
		} else {
			m.a = 4096;
			check_bad(&m, "names pages");
			m.a = 0;
			m.b = 1;
			check_bad(&m, "names pages");
		}
	}
}

static void ranges_do_not_wrap(void **state)
{
	static const enum wire_type types[] = {
		WIRE_MSG_ZERO, WIRE_MSG_POISON, WIRE_MSG_REQUEST,
	};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct wire_msg m = { .type = types[i] };

		m.b = 1ull << 34;
		check_good(&m);
		m.b++;
		check_bad(&m, "impossible range");
		m.b = UINT64_MAX;
		check_bad(&m, "impossible range");
		m.b = 1ull << 52;	/* times 4096 is 0 */
		check_bad(&m, "impossible range");
		m.a = UINT64_MAX - 4095;
		m.b = 1;		/* ends at 2^64, which is 0 */
		check_bad(&m, "impossible range");
		m.a = UINT64_MAX - 8191;
		check_good(&m);
	}
}

/* Pages around the requested ones: in REQUEST only, and not too many */
static void only_a_request_has_pages_around(void **state)
{
	static const uint8_t want[8] = { 0x46, 0, 0xb9, 1 };
	uint8_t head[WIRE_HEADER];
	struct wire_msg m = {
		.type = WIRE_MSG_REQUEST, .b = 1, .before = 70, .after = 441,
	};

	(void)state;
	wire_put(head, &m);
	assert_memory_equal(head + 24, want, sizeof(want));
	check_good(&m);
	m.before = m.after = 511;
	check_good(&m);
	m.after = 512;
	check_bad(&m, "511 pages before and 512 after, at most 511");
	m.after = 0;
	m.before = UINT16_MAX;
	check_bad(&m, "65535 pages before and 0 after");
	for (size_t i = 0; i < TYPES; i++) {
		m = good(i, table[i].min);
		m.after = 1;
		if (m.type == WIRE_MSG_REQUEST)
			check_good(&m);
		else
			check_bad(&m, "reserved");
		m.after = 0;
		m.before = 1;
		if (m.type == WIRE_MSG_REQUEST)
			check_good(&m);
		else
			check_bad(&m, "reserved");
	}
}

static void pages_match_their_payload(void **state)
{
	struct wire_msg m = {
		.type = WIRE_MSG_PAGES, .length = 2 * 4096, .b = 2,
	};

	(void)state;
	check_good(&m);
	m.b = 3;
	check_bad(&m, "8192 bytes for 3 pages");
	m.b = 1;
	check_bad(&m, "8192 bytes for 1 pages");
	m.b = (1ull << 20) + 2;		/* the same in 32 bits */
	check_bad(&m, "8192 bytes");
	m.b = 2;
	m.length++;
	check_bad(&m, "8193 bytes");
}

static void unknown_types_and_reserved_bits(void **state)
{
	static const unsigned reserved[] = { 6, 7, 24, 25, 26, 27, 28, 31 };
	const struct wire_msg m = { .type = WIRE_MSG_DONE };
	uint8_t head[WIRE_HEADER];
	struct wire_msg got;

	(void)state;
	for (unsigned t = 0; t < 65536; t++) {
		struct error err = { 0 };

		if (t && t < WIRE_MSG_TYPES)
			continue;
		wire_put(head, &m);
		head[4] = (uint8_t)t;
		head[5] = (uint8_t)(t >> 8);
		assert_refused(wire_get(head, &got, &err), EBADMSG, err,
			       "unknown type");
	}
	for (unsigned i = 0; i < 8; i++) {
		struct error err = { 0 };

		wire_put(head, &m);
		head[reserved[i]] = 1;
		assert_refused(wire_get(head, &got, &err), EBADMSG, err,
			       "reserved");
	}
}

/* Whatever the peer sends, what comes through may be allocated and used */
static void garbage_that_passes_is_possible(void **state)
{
	uint64_t seed = 99;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint8_t head[WIRE_HEADER] = { 0 };
		struct error err = { 0 };
		struct wire_msg m;

		for (int k = (int)(dice(&seed) % 8); k >= 0; k--)
			head[dice(&seed) % 24] = (uint8_t)dice(&seed);
		head[4] = (uint8_t)(dice(&seed) % (TYPES + 2));
		head[5] = 0;
		if (wire_get(head, &m, &err)) {
			assert_int_equal(err.code, EBADMSG);
			continue;
		}
		assert_in_range(m.type, 1, WIRE_MSG_TYPES - 1);
		assert_true(m.length >= table[m.type - 1].min &&
			    m.length <= table[m.type - 1].max);
		assert_true(m.a % 4096 == 0);
		assert_true(!m.b == !table[m.type - 1].pages);
	}
}

static const struct wire_hello hello = {
	.version = WIRE_VERSION, .role = WIRE_DEMAND, .features = WIRE_POISON,
	.page_size = 4096, .push = 0x305, .id = "0123456789abcde",
	.resume = true, .epoch = 0x01020304, .secret = "fedcba987654321",
	.binding = "the exporter's value, 32 bytes.",
};

static void hello_round_trip(void **state)
{
	uint8_t buf[WIRE_HELLO];
	struct wire_hello got;
	struct error err = { 0 };

	(void)state;
	wire_put_hello(buf, &hello);
	assert_int_equal(wire_get_hello(buf, WIRE_HELLO, &got, &err), 0);
	assert_int_equal(got.version, hello.version);
	assert_int_equal(got.role, hello.role);
	assert_int_equal(got.features, hello.features);
	assert_int_equal(got.page_size, hello.page_size);
	assert_memory_equal(got.id, hello.id, WIRE_ID);
	assert_int_equal(got.push, hello.push);
	assert_true(got.resume);
	assert_int_equal(got.epoch, hello.epoch);
	assert_memory_equal(got.secret, hello.secret, WIRE_SECRET);
	assert_memory_equal(got.binding, hello.binding, WIRE_BINDING);
}

/* docs/protocol.md's offsets */
static void hello_layout_is_fixed(void **state)
{
	uint8_t buf[WIRE_HELLO];

	(void)state;
	memset(buf, 0xff, sizeof(buf));
	wire_put_hello(buf, &hello);
	assert_memory_equal(buf, "Ferry\0\0\1\5\0\1\0", 12);
	assert_memory_equal(buf + 20, hello.id, 16);
	assert_memory_equal(buf + 36, "\5\3\1\0\4\3\2\1", 8);
	assert_memory_equal(buf + 44, hello.secret, 16);
	assert_memory_equal(buf + 60, hello.binding, 32);
}

static void ready_names_a_page_size(void **state)
{
	static const uint32_t bad[] = { 0, 1, 2048, 8192, 1 << 30, ~0u };
	struct error err = { 0 };
	uint8_t buf[WIRE_READY];
	uint32_t unit;

	(void)state;
	wire_put_ready(buf, WIRE_HUGE);
	assert_memory_equal(buf, "\0\0\x20\0", WIRE_READY);
	assert_int_equal(wire_get_ready(buf, &unit, &err), 0);
	assert_int_equal(unit, WIRE_HUGE);
	wire_put_ready(buf, WIRE_PAGE);
	assert_int_equal(wire_get_ready(buf, &unit, &err), 0);
	assert_int_equal(unit, WIRE_PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct error){ 0 };
		wire_put_ready(buf, bad[i]);
		assert_refused(wire_get_ready(buf, &unit, &err), EBADMSG, err,
			       "READY");
	}
}

static void hello_of_others(void **state)
{
	struct wire_hello got, h = hello;
	uint8_t buf[WIRE_HELLO];
	struct error err = { 0 };

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		err = (struct error){ 0 };
		wire_put_hello(buf, &hello);
		buf[i] ^= 0x20;
		assert_refused(wire_get_hello(buf, WIRE_HELLO, &got, &err),
			       EBADMSG, err, "not a Ferry");
	}
	err = (struct error){ 0 };
	h.version = WIRE_VERSION + 1;
	wire_put_hello(buf, &h);
	assert_refused(wire_get_hello(buf, WIRE_HELLO, &got, &err), EPROTO,
		       err, "version 6");
	err = (struct error){ 0 };
	h = hello;
	h.role = WIRE_ROLES;
	wire_put_hello(buf, &h);
	assert_refused(wire_get_hello(buf, WIRE_HELLO, &got, &err), EBADMSG,
		       err, "connection kind 3");
}

/* The version is named, whatever length its HELLO has; ours has one length */
static void hello_of_other_lengths(void **state)
{
	struct wire_hello got, h = hello;
	uint8_t buf[WIRE_HELLO];
	struct error err = { 0 };

	(void)state;
	wire_put_hello(buf, &h);
	assert_refused(wire_get_hello(buf, WIRE_HELLO_MIN, &got, &err),
		       EBADMSG, err, "44 bytes long");
	err = (struct error){ 0 };
	assert_refused(wire_get_hello(buf, WIRE_HELLO + 1, &got, &err),
		       EBADMSG, err, "93 bytes long");
	err = (struct error){ 0 };
	h.version = 3;
	wire_put_hello(buf, &h);
	assert_refused(wire_get_hello(buf, WIRE_HELLO_MIN, &got, &err),
		       EPROTO, err, "version 3");
}

static int report_of(unsigned flags, uint32_t n, uint32_t len,
		     struct error *err)
{
	const struct wire_report r = { .flags = flags, .n = n };
	uint8_t head[WIRE_REPORT_HEAD];
	struct wire_report got;
	int rc;

	*err = (struct error){ 0 };
	wire_put_report(head, &r);
	rc = wire_get_report(head, len, &got, err);
	if (!rc)
		assert_true(got.flags == flags && got.n == n);
	return rc;
}

static void reports_are_consistent(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(report_of(0, 3, 8 + 3 * 17, &err), 0);
	assert_int_equal(report_of(1, 0, 8, &err), 0);
	assert_int_equal(report_of(2, WIRE_REPORT_RUNS, WIRE_REPORT_MAX,
				   &err), 0);
	assert_int_equal(report_of(7, 0, 8, &err), 0);
	assert_refused(report_of(8, 1, 25, &err), EBADMSG, err, "flags 0x8");
	assert_refused(report_of(0, 3, 8 + 3 * 17 - 1, &err), EBADMSG, err,
		       "58 bytes for 3 runs");
	assert_refused(report_of(1, 0xf0f0f0f2, 8 + 0xf0f0f0f2 * 17, &err),
		       EBADMSG, err, "runs");
	assert_refused(report_of(0, 0, 8, &err), EBADMSG, err, "empty");
	assert_refused(report_of(7, 1, 25, &err), EBADMSG, err,
		       "contradicts");
	assert_refused(report_of(5, 0, 8, &err), EBADMSG, err, "contradicts");
	assert_refused(report_of(6, 1, 25, &err), EBADMSG, err, "contradicts");
}

static int run_of(uint64_t offset, uint64_t pages, unsigned kind,
		  uint64_t *next, struct error *err)
{
	const struct wire_run run = { offset, pages,
				      (enum wire_run_kind)kind };
	uint8_t raw[WIRE_REPORT_RUN];
	struct wire_run got;
	int rc;

	*err = (struct error){ 0 };
	wire_put_run(raw, &run);
	rc = wire_get_run(raw, 1000, next, &got, err);
	if (!rc) {
		assert_int_equal(got.offset, offset);
		assert_int_equal(got.pages, pages);
		assert_int_equal(got.kind, kind);
	}
	return rc;
}

static void runs_ascend_inside_ram(void **state)
{
	struct error err;
	uint64_t next = 0;

	(void)state;
	assert_int_equal(run_of(0, 10, WIRE_RUN_PRESENT, &next, &err), 0);
	assert_true(next == 10);
	assert_refused(run_of(9 * 4096, 1, 1, &next, &err), EBADMSG, err,
		       "ascend");
	assert_int_equal(run_of(10 * 4096, 1, WIRE_RUN_STAGED, &next, &err),
			 0);
	assert_int_equal(run_of(999 * 4096, 1, WIRE_RUN_ZERO, &next, &err),
			 0);
	assert_true(next == 1000);
	next = 0;
	assert_refused(run_of(1, 1, 1, &next, &err), EBADMSG, err, "whole");
	assert_refused(run_of(0, 0, 1, &next, &err), EBADMSG, err, "whole");
	assert_refused(run_of(0, 1001, 1, &next, &err), EBADMSG, err, "whole");
	assert_refused(run_of(4096, UINT64_MAX, 1, &next, &err), EBADMSG, err,
		       "whole");
	assert_refused(run_of(1001 * 4096, 1, 1, &next, &err), EBADMSG, err,
		       "whole");
	assert_refused(run_of(0, 1, 0, &next, &err), EBADMSG, err, "kind 0");
	assert_refused(run_of(0, 1, 5, &next, &err), EBADMSG, err, "kind 5");
	assert_true(next == 0);
}

static void counts_and_secrets(void **state)
{
	uint8_t a[WIRE_SECRET] = { 0 }, b[WIRE_SECRET] = { 0 };
	uint8_t count[WIRE_CHUNK_ACK];

	(void)state;
	wire_put_count(count, 0x0123456789abcdef);
	assert_true(wire_get_count(count) == 0x0123456789abcdef);
	assert_int_equal(count[0], 0xef);
	assert_true(wire_same_secret(a, b));
	for (unsigned i = 0; i < WIRE_SECRET; i++) {
		b[i] = 1;
		assert_false(wire_same_secret(a, b));
		b[i] = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_types_are_here),
		cmocka_unit_test(layout_is_fixed),
		cmocka_unit_test(shortest_and_longest),
		cmocka_unit_test(only_some_name_pages),
		cmocka_unit_test(ranges_do_not_wrap),
		cmocka_unit_test(only_a_request_has_pages_around),
		cmocka_unit_test(pages_match_their_payload),
		cmocka_unit_test(unknown_types_and_reserved_bits),
		cmocka_unit_test(garbage_that_passes_is_possible),
		cmocka_unit_test(hello_round_trip),
		cmocka_unit_test(hello_layout_is_fixed),
		cmocka_unit_test(ready_names_a_page_size),
		cmocka_unit_test(hello_of_others),
		cmocka_unit_test(hello_of_other_lengths),
		cmocka_unit_test(reports_are_consistent),
		cmocka_unit_test(runs_ascend_inside_ram),
		cmocka_unit_test(counts_and_secrets),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
