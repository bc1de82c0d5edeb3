// SPDX-License-Identifier: MIT
/* test_stalls.c - A histogram of stalls in one line */

#include "unit.h"

#include "vmm/cli/stalls.h"

/* Counts below 16, 32, 64, … us; the last one has no limit */
static void expect(const char *counts, const char *want)
{
	json_t *list = json_loads(counts, 0, NULL), *buckets = json_array();
	size_t n = json_array_size(list);
	char *text;

	for (size_t i = 0; i < n; i++) {
		json_t *one = json_pack("{s:O, s:f}", "count",
					json_array_get(list, i), "below",
					(double)(16ull << i));

		if (i + 1 == n)
			json_object_del(one, "below");
		json_array_append_new(buckets, one);
	}
	text = stalls_line(buckets);
	if (want)
		assert_string_equal(text, want);
	else
		assert_null(text);
	free(text);
	json_decref(buckets);
	json_decref(list);
}

static void columns_are_shares_of_the_fullest(void **state)
{
	(void)state;
	expect("[0, 8, 0]", "16 us █ 32 us");
	expect("[0, 1, 8, 0, 4, 3, 0, 0]", "16 us ▁█ ▄▃ 512 us");
	expect("[1, 1000, 126, 0]", "0 us ▁█▂ 64 us");
}

static void limits_have_units(void **state)
{
	(void)state;
	expect("[0,0,0,0,0,0,0,1,1,0]", "1 ms ██ 4 ms");
	expect("[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1,0]", "1 s █ 2.1 s");
	expect("[0, 2, 5]", "16 us ▄█ and more");
}

static void nothing_is_no_line(void **state)
{
	(void)state;
	expect("[]", NULL);
	expect("[0, 0]", NULL);
	assert_null(stalls_line(NULL));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_shares_of_the_fullest),
		cmocka_unit_test(limits_have_units),
		cmocka_unit_test(nothing_is_no_line),
	};

	return cmocka_run_group_tests_name("stalls", tests, NULL, NULL);
}
