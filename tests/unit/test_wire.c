// SPDX-License-Identifier: MIT
/* test_wire.c - Every message type, every limit, round trips and garbage */

#include "unit.h"

#include "migration/wire/wire.h"

/* docs/protocol.md's table, written down a second time */
static const struct {
	enum wire_type type;
	const char *name;
	uint32_t min, max;
	bool pages;
} table[] = {
	{ WIRE_MSG_HELLO, "HELLO", 44, 44, false },
	{ WIRE_MSG_WELCOME, "WELCOME", 44, 44, false },
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
	{ WIRE_MSG_READY, "READY", 0, 0, false },
	{ WIRE_MSG_WRITTEN_LIST, "WRITTEN_LIST", 4, 16 << 20, false },
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
	static const unsigned reserved[] = { 6, 7, 24, 25, 30, 31 };
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
	for (unsigned i = 0; i < 6; i++) {
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
};

static void hello_round_trip(void **state)
{
	uint8_t buf[WIRE_HELLO];
	struct wire_hello got;
	struct error err = { 0 };

	(void)state;
	wire_put_hello(buf, &hello);
	assert_int_equal(wire_get_hello(buf, &got, &err), 0);
	assert_int_equal(got.version, hello.version);
	assert_int_equal(got.role, hello.role);
	assert_int_equal(got.features, hello.features);
	assert_int_equal(got.page_size, hello.page_size);
	assert_memory_equal(got.id, hello.id, WIRE_ID);
	assert_int_equal(got.push, hello.push);
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
		assert_refused(wire_get_hello(buf, &got, &err), EBADMSG, err,
			       "not a Ferry");
	}
	err = (struct error){ 0 };
	h.version = WIRE_VERSION + 1;
	wire_put_hello(buf, &h);
	assert_refused(wire_get_hello(buf, &got, &err), EPROTO, err,
		       "version 4");
	err = (struct error){ 0 };
	h = hello;
	h.role = WIRE_ROLES;
	wire_put_hello(buf, &h);
	assert_refused(wire_get_hello(buf, &got, &err), EBADMSG, err,
		       "connection kind 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_types_are_here),
		cmocka_unit_test(layout_is_fixed),
		cmocka_unit_test(shortest_and_longest),
		cmocka_unit_test(only_some_name_pages),
		cmocka_unit_test(ranges_do_not_wrap),
		cmocka_unit_test(pages_match_their_payload),
		cmocka_unit_test(unknown_types_and_reserved_bits),
		cmocka_unit_test(garbage_that_passes_is_possible),
		cmocka_unit_test(hello_round_trip),
		cmocka_unit_test(hello_of_others),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
