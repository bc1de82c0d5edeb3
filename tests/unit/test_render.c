// SPDX-License-Identifier: MIT
/* test_render.c - Text made of a JSON value by a template */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "vmm/cli/render.h"

static const char sample[] =
	"{\"name\": \"a{b}[c]\", \"zero\": 0, \"one\": 1, \"n\": 12345.678,"
	" \"no\": false, \"yes\": true, \"big\": 9223372036854775807,"
	" \"in\": {\"ner\": {\"text\": \"deep\"}}, \"none\": [],"
	" \"list\": [{\"at\": 1}, {\"at\": 2, \"why\": \"x\"}]}";

static void expect(const char *template, const char *want)
{
	json_t *value = json_loads(sample, 0, NULL);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(value);
	render(out, template, value);
	fclose(out);
	assert_string_equal(text, want);
	free(text);
	json_decref(value);
}

static void members_are_found(void **state)
{
	(void)state;
	expect("<{name}>", "");			/* no such array */
	expect("{name}: {in.ner.text}.", "a{b}[c]: deep.");
	expect("({missing}{in.missing.text}{name.x}{none})", "()");
	expect("{yes}{no}", "");
}

static void numbers_have_units(void **state)
{
	(void)state;
	expect("{n} {n,0.1} {n,0.2/K} {n/P}", "12346 12345.7 12.06 3");
	expect("{n/M} {n/B} {one/x} {big/x}", "0 1543 0x1 0x7fffffffffffffff");
	expect("page{one/s} page{zero/s} {one/:}", "page pages 1:");
	expect("{missing/K} {missing,4.1}", "0  0.0");
}

static void columns_are_aligned(void **state)
{
	(void)state;
	expect("|{one,3}|{one,-3}|{one,-4/:}|{name,3}|", "|  1|1  |1:  |a{b}[c]|");
	expect("|{name,8}|{name,-8}|", "| a{b}[c]|a{b}[c] |");
}

static void sections_are_left_out(void **state)
{
	(void)state;
	expect("a[b{zero}]c", "ab0c");
	expect("a[b{zero!}]c[{missing}d]e", "ace");
	expect("a[b[{missing}]{one!}]c", "ab1c");
	expect("[{yes!}yes][{no!}no][{missing!}]", "yes");
	expect("a[unfinished", "aunfinished");
}

static void arrays_are_repeated(void **state)
{
	(void)state;
	expect("<list:({at}[ {why}])>!", "(1)(2 x)!");
	expect("a<none:{at}>b<missing:{at}>c", "abc");
	expect("<list:{at}", "12");
}

static void strings_are_compared(void **state)
{
	json_t *value = json_loads(sample, 0, NULL);

	(void)state;
	assert_true(render_is(value, "in.ner.text", "deep"));
	assert_false(render_is(value, "in.ner.text", "dee"));
	assert_true(render_is(value, "in.ner", ""));
	assert_true(render_is(NULL, "x", ""));
	assert_int_equal(json_integer_value(render_find(value, "one")), 1);
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_found),
		cmocka_unit_test(numbers_have_units),
		cmocka_unit_test(columns_are_aligned),
		cmocka_unit_test(sections_are_left_out),
		cmocka_unit_test(arrays_are_repeated),
		cmocka_unit_test(strings_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
