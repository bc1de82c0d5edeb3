// SPDX-License-Identifier: MIT
/* test_qmp.c - End and format of messages, check of arguments */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/control/control_dispatch.h"
#include "vmm/control/qmp.h"

/* Length of the first message: parsed at once, and byte by byte */
static size_t frame(const char *text)
{
	struct qmp_frame whole = { 0 }, bits = { 0 };
	size_t len = strlen(text), all, part = 0, i;

	all = qmp_frame_next(&whole, text, len);
	for (i = 1; i <= len && !part; i++)
		part = qmp_frame_next(&bits, text, i);
	assert_int_equal(all, part);
	return all;
}

static void messages_end_with_their_brace(void **state)
{
	(void)state;
	assert_int_equal(frame("{}"), 2);
	assert_int_equal(frame("{}{}"), 2);
	assert_int_equal(frame("{\"a\":{\"b\":[1,2]}} x"), 17);
	assert_int_equal(frame("[{}]"), 4);
	assert_int_equal(frame("{"), 0);
	assert_int_equal(frame("{\"a\":{}"), 0);
	assert_int_equal(frame(""), 0);
}

static void strings_hide_braces(void **state)
{
	(void)state;
	assert_int_equal(frame("{\"a\":\"}\"}"), 9);
	assert_int_equal(frame("{\"a\":\"\\\"}\"}"), 11);
	assert_int_equal(frame("{\"a\":\"\\\\\"}"), 10);
	assert_int_equal(frame("{\"a}"), 0);
}

static void newlines_end_messages(void **state)
{
	(void)state;
	assert_int_equal(frame("rubbish\n{}"), 8);
	assert_int_equal(frame("{\"open\n{}"), 7);
	assert_int_equal(frame("don't\n{}"), 6);
	assert_int_equal(frame("}}\n"), 3);
	assert_int_equal(frame("\r\n"), 2);
	assert_true(qmp_blank("\r\n", 2));
	assert_true(qmp_blank("", 0));
	assert_false(qmp_blank("x\n", 2));
}

static void messages_may_have_lines(void **state)
{
	(void)state;
	assert_int_equal(frame("{\n\t\"a\":\r\n1\n}{}"), 12);
	assert_int_equal(frame("{'a':'}\"'}{}"), 10);
}

static void a_control_byte_ends_any_message(void **state)
{
	(void)state;
	assert_int_equal(frame("{\"a\":[\xff{}"), 7);
	assert_int_equal(frame("{\"a\":\"\xff{}"), 7);
	assert_int_equal(frame("{\"a\":'\\\x01{}"), 8);
	assert_int_equal(frame("\xff{}"), 1);
}

/* Parse a command, and echo its id. Return: the text, to be freed */
static char *parse(const char *text)
{
	json_t *msg = qmp_parse(text, strlen(text), &(json_error_t){ 0 });
	json_t *reply;
	char *out;

	if (!msg)
		return NULL;
	reply = qmp_return(json_incref(json_object_get(msg, "x")),
			   json_object_get(msg, "id"));
	out = qmp_text(reply);
	json_decref(reply);
	json_decref(msg);
	return out;
}

static void qemus_json_is_parsed(void **state)
{
	static const struct {
		const char *in, *out;
	} texts[] = {
		{ "{'x': 'a\"b\\'c\\\\'}", "\"a\\\"b'c\\\\\"}" },
		{ "{\"x\":\"a\\'\", 'id': 'i'}", "\"a'\",\"id\":\"i\"}" },
		{ "{'x':1, \"id\" : 18446744073709551615}",
		  "1,\"id\":18446744073709551615}" },
		{ "{'id':-9223372036854775809,'x':2}",
		  "2,\"id\":-9223372036854775809}" },
		{ "{\"id\":9223372036854775807,\"x\":'3'}",
		  "\"3\",\"id\":9223372036854775807}" },
		{ "{\"x\":9223372036854775808}", "9.22337203685e18}" },
		/* The mark of such an id in front of what is no integer */
		{ "{\"x\":4,\"id\":\"\\u0001abc\"}",
		  "4,\"id\":\"\\u0001abc\"}" },
	};
	char want[100], *got;

	(void)state;
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		snprintf(want, sizeof(want), "{\"return\":%s\r\n",
			 texts[i].out);
		got = parse(texts[i].in);
		assert_non_null(got);
		assert_string_equal(got, want);
		free(got);
	}
	assert_null(parse("{'x"));
	assert_null(parse("{'x':\"1'}"));
	assert_null(parse("{'id':9999999999999999999-5}"));
	assert_null(parse("{'id':09999999999999999999}"));
	assert_null(parse("{\"x\":99999999999999999999999999999999999999e}"));
}

static void expect_text(json_t *msg, const char *want)
{
	char *text = qmp_text(msg);

	assert_string_equal(text, want);
	free(text);
	json_decref(msg);
}

static void messages_look_like_qemus(void **state)
{
	const struct timeval when = { 12, 345 };
	json_t *id = json_integer(7);

	(void)state;
	expect_text(qmp_return(NULL, NULL), "{\"return\":{}}\r\n");
	expect_text(qmp_return(json_true(), id),
		    "{\"return\":true,\"id\":7}\r\n");
	expect_text(qmp_error(QMP_GENERIC_ERROR, "no", id),
		    "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"},"
		    "\"id\":7}\r\n");
	expect_text(qmp_event("STOP", NULL, &when),
		    "{\"timestamp\":{\"seconds\":12,\"microseconds\":345},"
		    "\"event\":\"STOP\"}\r\n");
	json_decref(id);
}

static void broken_text_still_makes_an_answer(void **state)
{
	(void)state;
	expect_text(qmp_error(QMP_GENERIC_ERROR, "cut \xc3", NULL),
		    "{\"error\":{\"class\":\"GenericError\","
		    "\"desc\":\"cut ?\"}}\r\n");
}

static void milliseconds_are_readable(void **state)
{
	(void)state;
	expect_text(json_pack("{s:f}", "ms", 0.834), "{\"ms\":0.834}\r\n");
	assert_null(qmp_text(NULL));
}

static void check(const char *spec, const char *args, const char *word)
{
	json_t *value = json_loads(args, 0, NULL);
	struct error err = { 0 };
	int rc;

	assert_non_null(value);
	rc = dispatch_check_args(spec, value, &err);
	json_decref(value);
	assert_int_equal(rc, word ? -EINVAL : 0);
	if (word && !strstr(err.text, word))
		fail_msg("%s: no '%s' in: %s", args, word, err.text);
}

static void arguments_are_checked(void **state)
{
	static const char spec[] = "uri:s ?detach:b ?n:i ?list:o";

	(void)state;
	check(spec, "{\"uri\":\"x\"}", NULL);
	check(spec, "{\"uri\":\"x\",\"detach\":true,\"n\":1,\"list\":[]}",
	      NULL);
	check(spec, "{\"uri\":\"x\",\"list\":{}}", NULL);
	check(spec, "{}", "'uri' is missing");
	check(spec, "{\"uri\":1}", "'uri' must be a string");
	check(spec, "{\"uri\":\"x\",\"n\":1.5}", "'n' must be an integer");
	check(spec, "{\"uri\":\"x\",\"n\":\"1\"}", "'n' must be an integer");
	check(spec, "{\"uri\":\"x\",\"detach\":1}", "true or false");
	check(spec, "{\"uri\":\"x\",\"detach\":null}", "true or false");
	check(spec, "{\"uri\":\"x\",\"list\":1}", "an object or an array");
	check(spec, "{\"ur\":\"x\"}", "unknown argument 'ur'");
	check(spec, "{\"uri\":\"x\",\"uri2\":1}", "takes 'uri', 'detach'");
}

static void commands_may_take_nothing(void **state)
{
	(void)state;
	check(NULL, "{}", NULL);
	check("", "{}", NULL);
	check(NULL, "{\"x\":1}", "takes none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_end_with_their_brace),
		cmocka_unit_test(strings_hide_braces),
		cmocka_unit_test(newlines_end_messages),
		cmocka_unit_test(messages_may_have_lines),
		cmocka_unit_test(a_control_byte_ends_any_message),
		cmocka_unit_test(qemus_json_is_parsed),
		cmocka_unit_test(messages_look_like_qemus),
		cmocka_unit_test(broken_text_still_makes_an_answer),
		cmocka_unit_test(milliseconds_are_readable),
		cmocka_unit_test(arguments_are_checked),
		cmocka_unit_test(commands_may_take_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
