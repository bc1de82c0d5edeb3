// SPDX-License-Identifier: MIT
/* test_bytes.c - Values are read back as written; no read passes the end */

#include "unit.h"

#include "vmm/base/bytes.h"

static void numbers_are_little_endian(void **state)
{
	static const uint8_t want[] = {
		0x11, 0x33, 0x22, 0x77, 0x66, 0x55, 0x44,
		0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88,
	};
	struct writer w = { 0 };

	(void)state;
	put_u8(&w, 0x11);
	put_u16(&w, 0x2233);
	put_u32(&w, 0x44556677);
	put_u64(&w, 0x8899aabbccddeeff);
	assert_false(w.failed);
	assert_int_equal(w.len, sizeof(want));
	assert_memory_equal(w.data, want, sizeof(want));
	writer_free(&w);
	assert_null(w.data);
	assert_int_equal(w.len, 0);
}

static void numbers_come_back(void **state)
{
	struct writer w = { 0 };
	struct reader r;

	(void)state;
	put_u64(&w, UINT64_MAX);
	put_u32(&w, 0x80000001);
	put_u16(&w, 0xfffe);
	put_u8(&w, 0x80);
	put_bytes(&w, "ferry", 5);
	r = (struct reader){ .data = w.data, .len = w.len };
	assert_true(get_u64(&r) == UINT64_MAX);
	assert_int_equal(get_u32(&r), 0x80000001);
	assert_int_equal(get_u16(&r), 0xfffe);
	assert_int_equal(get_u8(&r), 0x80);
	assert_false(reader_done(&r));
	assert_memory_equal(get_bytes(&r, 5), "ferry", 5);
	assert_true(reader_done(&r));
	writer_free(&w);
}

static void it_grows_and_keeps_what_it_has(void **state)
{
	struct writer w = { 0 };
	struct reader r;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++)
		put_u32(&w, i * 7);
	put_bytes(&w, NULL, 0);
	assert_int_equal(w.len, 400000);
	r = (struct reader){ .data = w.data, .len = w.len };
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(get_u32(&r), i * 7);
	assert_true(reader_done(&r));
	writer_free(&w);
}

static void past_the_end_is_zero_and_failure(void **state)
{
	static const uint8_t three[] = { 1, 2, 3 };
	struct reader r = { .data = three, .len = 3 };

	(void)state;
	assert_int_equal(get_u32(&r), 0);
	assert_true(r.failed);
	assert_int_equal(r.pos, 0);
	/* After a failure, a read that would fit fails, too */
	assert_int_equal(get_u8(&r), 0);
	assert_null(get_bytes(&r, 1));
	assert_false(reader_done(&r));
}

static void huge_lengths_do_not_wrap(void **state)
{
	static const uint8_t four[] = { 1, 2, 3, 4 };
	struct reader r = { .data = four, .len = 4, .pos = 2 };

	(void)state;
	assert_null(get_bytes(&r, SIZE_MAX));
	assert_true(r.failed);
	r.failed = false;
	assert_null(get_bytes(&r, SIZE_MAX - 1));
	assert_int_equal(r.pos, 2);
}

static void parts_nest(void **state)
{
	struct writer w = { 0 };
	struct reader r, outer, inner;
	size_t a, b;

	(void)state;
	a = put_open(&w);
	put_u8(&w, 1);
	b = put_open(&w);
	put_u16(&w, 2);
	put_close(&w, b);
	put_u8(&w, 3);
	put_close(&w, a);
	put_u8(&w, 4);

	r = (struct reader){ .data = w.data, .len = w.len };
	outer = get_part(&r);
	assert_int_equal(outer.len, 8);
	assert_int_equal(get_u8(&outer), 1);
	inner = get_part(&outer);
	assert_int_equal(inner.len, 2);
	assert_int_equal(get_u16(&inner), 2);
	assert_int_equal(get_u8(&inner), 0);
	assert_true(inner.failed);
	assert_int_equal(get_u8(&outer), 3);
	assert_true(reader_done(&outer));
	assert_int_equal(get_u8(&r), 4);
	assert_true(reader_done(&r));
	writer_free(&w);
}

static void part_longer_than_the_rest_fails_both(void **state)
{
	static const uint8_t bytes[] = { 5, 0, 0, 0, 1, 2, 3, 4 };
	struct reader r = { .data = bytes, .len = sizeof(bytes) };
	struct reader part = get_part(&r);

	(void)state;
	assert_true(part.failed);
	assert_true(r.failed);
	assert_int_equal(part.len, 0);
	assert_int_equal(get_u8(&part), 0);
}

struct sample {
	uint8_t pad, a;
	uint16_t b;
	uint32_t c[3];
	uint64_t d;
};

static const struct field sample_fields[] = {
	FIELD(struct sample, a), FIELD(struct sample, b),
	FIELD_ARRAY(struct sample, c), FIELD(struct sample, d),
};

static void fields_leave_padding_out(void **state)
{
	struct sample in = { 0xee, 1, 2, { 3, 4, 5 }, 6 }, out = { 0 };
	struct writer w = { 0 };
	struct reader r;

	(void)state;
	put_fields(&w, sample_fields, ARRAY_SIZE(sample_fields), &in);
	assert_int_equal(w.len, 1 + 2 + 12 + 8);
	r = (struct reader){ .data = w.data, .len = w.len };
	get_fields(&r, sample_fields, ARRAY_SIZE(sample_fields), &out);
	assert_true(reader_done(&r));
	assert_int_equal(out.pad, 0);
	in.pad = 0;
	assert_memory_equal(&in, &out, sizeof(in));
	writer_free(&w);
}

static void truncated_fields_fail(void **state)
{
	uint8_t bytes[22] = { 9 };
	struct reader r = { .data = bytes, .len = sizeof(bytes) };
	struct sample out = { .d = 7 };

	(void)state;
	get_fields(&r, sample_fields, ARRAY_SIZE(sample_fields), &out);
	assert_true(r.failed);
	assert_int_equal(out.a, 9);
	assert_int_equal(out.d, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_little_endian),
		cmocka_unit_test(numbers_come_back),
		cmocka_unit_test(it_grows_and_keeps_what_it_has),
		cmocka_unit_test(past_the_end_is_zero_and_failure),
		cmocka_unit_test(huge_lengths_do_not_wrap),
		cmocka_unit_test(parts_nest),
		cmocka_unit_test(part_longer_than_the_rest_fails_both),
		cmocka_unit_test(fields_leave_padding_out),
		cmocka_unit_test(truncated_fields_fail),
	};

	return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
