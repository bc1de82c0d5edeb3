// SPDX-License-Identifier: MIT
/* test_dump_range.c - Addresses of any value, and the hole under 4 GiB */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/base/bytes.h"
#include "vmm/dump/dump_range.h"

#define LOW	(3ull << 30)
#define HIGH	(4ull << 30)
#define TOP	(HIGH + MIB)

static const struct ram ram = {
	.size = LOW + MIB, .regions = 2,
	.region = { { .gpa = 0, .size = LOW, .offset = 0 },
		    { .gpa = HIGH, .size = MIB, .offset = LOW } },
};

static void all_of_it(void **state)
{
	static const struct {
		uint64_t gpa, size, offset;
	} good[] = {
		{ 0, LOW, 0 }, { LOW - 1, 1, LOW - 1 }, { HIGH, MIB, LOW },
		{ TOP - 1, 1, LOW + MIB - 1 },
	};
	uint64_t offset;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(dump_range_whole(&ram, good[i].gpa,
						  good[i].size, &offset,
						  NULL), 0);
		assert_int_equal(offset, good[i].offset);
	}
}

static void the_first_that_is_none(void **state)
{
	static const struct {
		uint64_t gpa, size;
		const char *word;
	} bad[] = {
		{ 0, 0, "size" },
		{ LOW, 1, "0xc0000000 " }, { LOW - 1, 2, "0xc0000000 " },
		{ 0, TOP, "0xc0000000 " }, { HIGH - 1, 2, "0xffffffff " },
		{ HIGH, MIB + 1, "0x100100000 " },
		{ HIGH, UINT64_MAX, "0x100100000 " },
		{ 1, UINT64_MAX, "0xc0000000 " },
		{ UINT64_MAX, 1, "0xffffffffffffffff " },
		{ UINT64_MAX, UINT64_MAX, "0xffffffffffffffff " },
	};
	uint64_t offset;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = { 0 };

		assert_int_equal(dump_range_whole(&ram, bad[i].gpa,
						  bad[i].size, &offset, &err),
				 i ? -ERANGE : -EINVAL);
		if (!strstr(err.text, bad[i].word))
			fail_msg("no '%s' in: %s", bad[i].word, err.text);
	}
}

static void what_of_it(void **state)
{
	static const struct {
		uint64_t begin, length, from, to;
	} good[] = {
		{ 0, TOP, 0, LOW + MIB }, { 5, 1, 5, 6 },
		{ LOW - 2, 4, LOW - 2, LOW }, { LOW, HIGH - LOW + 1, LOW,
						LOW + 1 },
		{ LOW - 1, HIGH - LOW + 2, LOW - 1, LOW + 1 },
		{ 7, INT64_MAX, 7, LOW + MIB },
	}, bad[] = {
		{ LOW, HIGH - LOW, 0, 0 }, { TOP, 1, 0, 0 },
		{ INT64_MAX, INT64_MAX, 0, 0 },
	};
	uint64_t from, to;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(dump_range_part(&ram, good[i].begin,
						 good[i].length, &from, &to,
						 NULL), 0);
		assert_int_equal(from, good[i].from);
		assert_int_equal(to, good[i].to);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(dump_range_part(&ram, bad[i].begin,
						 bad[i].length, &from, &to,
						 NULL), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it),
		cmocka_unit_test(the_first_that_is_none),
		cmocka_unit_test(what_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
